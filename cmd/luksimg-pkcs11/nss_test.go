package main

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/hex"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/luksimg/luksimg/cmd/luksimg-pkcs11/internal/cryptoki"
)

// TestNSS wraps with keys of NSS, whose module supports what SoftHSM2 lacks: AES-KWP, and RSA-OAEP with SHA-256.
// OpenSSL and Go unwrap its wrapped keys, and it unwraps those of Go.
func TestNSS(t *testing.T) {
	found, _ := filepath.Glob("/usr/lib/*/libsoftokn3.so")
	if len(found) == 0 {
		if os.Getenv("CI") == "true" {
			t.Fatal("libsoftokn3.so is not installed")
		}
		t.Skip("libsoftokn3.so is not installed")
	}
	m, err := cryptoki.OpenWith(found[0], "configdir='' certPrefix='' keyPrefix='' secmod='' flags=noCertDB,noModDB,forceOpen")
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	all, err := m.Tokens()
	if err != nil || len(all) == 0 {
		t.Fatal(all, err)
	}
	slot := all[0].Slot
	s, err := m.Open(slot)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()

	secret := bytes.Repeat([]byte("known key"), 4)[:32]
	o, err := s.Create(cryptoki.Number(cryptoki.Class, cryptoki.SecretKey), cryptoki.Number(cryptoki.KeyType, cryptoki.AES), cryptoki.Text(cryptoki.Value, secret),
		cryptoki.Bool(cryptoki.OnToken, false), cryptoki.Bool(cryptoki.Encrypt, true), cryptoki.Bool(cryptoki.Decrypt, true))
	if err != nil {
		t.Fatal(err)
	}
	k := &key{m: m, slot: slot, s: s, object: o, kind: "secret-key"}
	for _, n := range []int{1, 16, 32, 33, 64, 384} {
		data := bytes.Repeat([]byte("0123456789abcdef"), 24)[:n]
		name, wrapped, err := k.wrap(data)
		if err != nil || name != aesKWP {
			t.Errorf("%d bytes: %s, %v", n, name, err)
			continue
		}
		cmd := exec.Command("openssl", "enc", "-d", "-id-aes256-wrap-pad", "-K", hex.EncodeToString(secret), "-iv", "a65959a6")
		cmd.Stdin = bytes.NewReader(wrapped)
		if out, err := cmd.Output(); err != nil || !bytes.Equal(out, data) {
			t.Errorf("%d bytes: OpenSSL has %x, %v", n, out, err)
		}
		if back, err := k.unwrap(name, wrapped); err != nil || !bytes.Equal(back, data) {
			t.Errorf("%d bytes: back %x, %v", n, back, err)
		}
		wrapped[len(wrapped)-1] ^= 1
		if back, err := k.unwrap(name, wrapped); err == nil || faultClass(err) != classData {
			t.Errorf("%d bytes: damaged, %x, %v", n, back, err)
		}
	}

	private, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	const privateExponent, prime1, prime2, exponent1, exponent2, coefficient = 0x123, 0x124, 0x125, 0x126, 0x127, 0x128
	number := func(t cryptoki.AttributeType, n *big.Int) cryptoki.Attribute { return cryptoki.Text(t, n.Bytes()) }
	o, err = s.Create(cryptoki.Number(cryptoki.Class, cryptoki.PrivateKey), cryptoki.Number(cryptoki.KeyType, cryptoki.RSA), cryptoki.Bool(cryptoki.OnToken, false),
		cryptoki.Bool(cryptoki.Decrypt, true), cryptoki.Text(cryptoki.ID, []byte{1}), number(cryptoki.Modulus, private.N), number(cryptoki.PublicExponent, big.NewInt(int64(private.E))), number(privateExponent, private.D),
		number(prime1, private.Primes[0]), number(prime2, private.Primes[1]), number(exponent1, private.Precomputed.Dp), number(exponent2, private.Precomputed.Dq), number(coefficient, private.Precomputed.Qinv))
	if err != nil {
		t.Fatal(err)
	}
	k = &key{m: m, slot: slot, s: s, object: o, kind: "private"}
	data := []byte("0123456789abcdef0123456789abcdef")
	name, wrapped, err := k.wrap(data)
	if err != nil || name != rsaOAEP {
		t.Fatal(name, err)
	}
	if back, err := rsa.DecryptOAEP(sha256.New(), nil, private, wrapped, nil); err != nil || !bytes.Equal(back, data) {
		t.Errorf("Go has %x, %v", back, err)
	}
	if back, err := k.unwrap(name, wrapped); err != nil || !bytes.Equal(back, data) {
		t.Errorf("back %x, %v", back, err)
	}
	wrapped[7] ^= 1
	if back, err := k.unwrap(name, wrapped); err == nil || faultClass(err) != classData {
		t.Errorf("damaged: %x, %v", back, err)
	}
	if _, _, err := k.wrap(make([]byte, 300)); err == nil || faultClass(err) != classMechanism {
		t.Errorf("too long: %v", err)
	}
}
