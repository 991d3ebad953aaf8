//go:build cgo && openssl

package contender

import (
	"bytes"
	"crypto/rand"
	"math/big"
	"testing"

	"github.com/luksimg/luksimg/xts"
)

// TestOpenSSL compares every implementation with libcrypto, on data units with random keys, tweaks and
// lengths, including incomplete blocks.
func TestOpenSSL(t *testing.T) {
	for _, impl := range xts.Implementations() {
		t.Run("impl="+impl, func(t *testing.T) {
			for i := range 3000 {
				n := 16 + random(t, 2000)
				if i%100 == 0 {
					n = 16 + random(t, 300_000)
				}
				key := randomBytes(32 << (i % 2))
				tweak := [16]byte(randomBytes(16))
				checkUnit(t, impl, key, randomBytes(n), &tweak)
			}
		})
	}
}

func checkUnit(t *testing.T, impl string, key, plain []byte, tweak *[16]byte) {
	t.Helper()
	c, err := xts.New(key, xts.Options{Implementation: impl})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	want := make([]byte, len(plain))
	if err := OpenSSLUnit("enc", key, want, plain, tweak); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, len(plain))
	c.EncryptStealing(got, plain, tweak)
	if !bytes.Equal(got, want) {
		t.Errorf("%d bytes, key of %d: the ciphertext differs from libcrypto's", len(plain), len(key))
	}
	c.DecryptStealing(got, got, tweak)
	if !bytes.Equal(got, plain) {
		t.Errorf("%d bytes, key of %d: the decrypted text differs from the plaintext", len(plain), len(key))
	}
	if len(plain)%16 == 0 {
		c.EncryptUnit(got, plain, tweak)
		if !bytes.Equal(got, want) {
			t.Errorf("%d bytes, key of %d: EncryptUnit differs from libcrypto", len(plain), len(key))
		}
	}
}

func random(t *testing.T, n int64) int {
	t.Helper()
	v, err := rand.Int(rand.Reader, big.NewInt(n))
	if err != nil {
		t.Fatal(err)
	}
	return int(v.Int64())
}

func randomBytes(n int) []byte {
	b := make([]byte, n)
	rand.Read(b)
	return b
}
