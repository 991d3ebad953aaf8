package ciphers

import (
	"bytes"
	"encoding/hex"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/luksimg/luksimg/internal/dmcrypt"
)

// TestBlocks checks published vectors of single blocks, as the first block of a sector in ECB mode.
//
// Serpent: the vectors of the authors' AES submission, as verified by NESSIE (Serpent-128-128 set 1 no.
// 0, Serpent-192-128 set 1 no. 0, Serpent-256-128 set 3 no. 1). Twofish: the authors' ecb_ival.txt.
// Camellia: RFC 3713, appendix A. CAST5: RFC 2144, appendix B.1.
func TestBlocks(t *testing.T) {
	const counting = "0123456789abcdeffedcba98765432100011223344556677"
	for _, v := range []struct{ cipher, key, pt, ct string }{
		{"serpent", "80000000000000000000000000000000", strings.Repeat("00", 16), "264e5481eff42a4606abda06c0bfda3d"},
		{"serpent", "800000000000000000000000000000000000000000000000", strings.Repeat("00", 16), "9e274ead9b737bb21efcfca548602689"},
		{"serpent", strings.Repeat("01", 32), strings.Repeat("01", 16), "ec9723b15b2a6489f84c4524fffc2748"},
		{"twofish", strings.Repeat("00", 16), strings.Repeat("00", 16), "9f589f5cf6122c32b6bfec2f2ae8c35a"},
		{"twofish", counting, strings.Repeat("00", 16), "cfd1d2e5a9be9cdf501f13b892bd2248"},
		{"twofish", counting + "8899aabbccddeeff", strings.Repeat("00", 16), "37527be0052334b89f0cfccae87cfa20"},
		{"camellia", counting[:32], counting[:32], "67673138549669730857065648eabe43"},
		{"camellia", counting, counting[:32], "b4993401b3e996f84ee5cee7d79b09b9"},
		{"camellia", counting + "8899aabbccddeeff", counting[:32], "9acc237dff16d76c20ef7c919e3a7509"},
		{"cast5", "0123456712345678234567893456789a", "0123456789abcdef", "238b4fe5847e44b2"},
	} {
		c, err := dmcrypt.New(v.cipher+"-ecb", unhex(t, v.key), dmcrypt.Options{})
		if err != nil {
			t.Fatal(err)
		}
		p := make([]byte, 512)
		copy(p, unhex(t, v.pt))
		c.Encrypt(p, p, 0)
		if got := hex.EncodeToString(p[:len(v.ct)/2]); got != v.ct {
			t.Errorf("%s with key %s: %s, want %s", v.cipher, v.key, got, v.ct)
		}
		c.Decrypt(p, p, 0)
		if got := hex.EncodeToString(p[:len(v.ct)/2]); got != v.pt {
			t.Errorf("%s with key %s decrypts to %s, want %s", v.cipher, v.key, got, v.pt)
		}
		c.Close()
	}
}

func TestAdiantum(t *testing.T) {
	text, err := os.ReadFile("testdata/adiantum.rsp")
	if err != nil {
		t.Fatal(err)
	}
	v := map[string]string{}
	n := 0
	for line := range strings.Lines(string(text)) {
		name, value, ok := strings.Cut(strings.TrimSpace(line), " = ")
		if !ok {
			continue
		}
		v[name] = value
		if name != "CT" {
			continue
		}
		n++
		rounds := adiantumRounds[v["Cipher"]]
		if rounds == nil {
			t.Fatalf("no cipher %q", v["Cipher"])
		}
		w := newWide(unhex(t, v["Key"]), rounds)
		plain, want, tweak := unhex(t, v["PT"]), unhex(t, v["CT"]), unhex(t, v["Tweak"])
		got := make([]byte, len(plain))
		w.Encrypt(got, plain, tweak)
		if !bytes.Equal(got, want) {
			t.Errorf("%s encrypts to %x, want %x", v["Cipher"], got, want)
		}
		w.Decrypt(got, got, tweak)
		if !bytes.Equal(got, plain) {
			t.Errorf("%s decrypts to %x, want %x", v["Cipher"], got, plain)
		}
		w.Close()
	}
	if n != len(adiantumRounds) {
		t.Errorf("%d vectors, want %d", n, len(adiantumRounds))
	}
}

// TestHashes checks the digests of "abc". BLAKE2: RFC 7693, appendices A and B; the shorter ones are
// from Python's hashlib, which uses the authors' reference code. RIPEMD-160: the authors' paper,
// appendix B. Whirlpool: the test vectors of ISO/IEC 10118-3.
func TestHashes(t *testing.T) {
	const (
		ripemd160 = "8eb208f7e05d987a9b044a8e98c6b087f15a0bfc"
		whirlpool = "4e2448a4c6f486bb16b6562c73b4020bf3043e3a731bce721ae1b303d97e6d4c" +
			"7181eebdb6c57e277d0e34957114cbd6c797fc9d95d8b582d225292076d4eef5"
		blake2b512 = "ba80a53f981c4d0d6a2797b69f12f6e94c212f14685ac4b74b12bb6fdbffa2d1" +
			"7d87c5392aab792dc252d5de4533cc9518d38aa8dbf1925ab92386edd4009923"
		blake2s256 = "508c5e8c327c14e2e1a72ba34eeb452f37458b209ed63a294d999b4c86675982"
	)
	for name, want := range map[string]string{
		"ripemd160":   ripemd160,
		"rmd160":      ripemd160,
		"ripemd":      ripemd160,
		"whirlpool":   whirlpool,
		"wp512":       whirlpool,
		"blake2b-512": blake2b512,
		"blake2b512":  blake2b512,
		"BLAKE2b512":  blake2b512,
		"blake2s-256": blake2s256,
		"blake2s256":  blake2s256,
		"blake2b-384": "6f56a82c8e7ef526dfe182eb5212f7db9df1317e57815dbda46083fc30f54ee6c66ba83be64b302d7cba6ce15bb556f4",
		"blake2b-256": "bddd813c634239723171ef3fee98579b94964e3bb1cb3e427262c8c068d52319",
		"blake2b-160": "384264f676f39536840523f284921cdc68b6846b",
	} {
		newHash, err := dmcrypt.Hash(name)
		if err != nil {
			t.Error(err)
			continue
		}
		h := newHash()
		h.Write([]byte("a"))
		h.Sum(nil)
		h.Write([]byte("bc"))
		if got := hex.EncodeToString(h.Sum(nil)); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
}

// TestRegistered checks that everything that dmcrypt attributes to this package is registered.
func TestRegistered(t *testing.T) {
	for _, spec := range []string{
		"serpent-xts-plain64", "twofish-cbc-essiv:sha256", "camellia-ecb", "xchacha12,aes-adiantum-plain64",
		"capi:adiantum(xchacha20,aes)-plain64", "aes-cbc-essiv:blake2b-256", "serpent-cbc-essiv:rmd160",
	} {
		if _, err := dmcrypt.KeySizes(spec); err != nil {
			t.Error(err)
		}
	}
}

func TestConcurrent(t *testing.T) {
	for _, spec := range []string{
		"serpent-xts-plain64", "twofish-cbc-essiv:sha256", "camellia-ctr-plain64", "xchacha12,aes-adiantum-plain64",
	} {
		c, err := dmcrypt.New(spec, make([]byte, 32), dmcrypt.Options{})
		if err != nil {
			t.Fatal(err)
		}
		plain := bytes.Repeat([]byte("plaintext"), 512)[:4096]
		want := make([]byte, len(plain))
		c.Encrypt(want, plain, 3)
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				p := bytes.Clone(plain)
				for range 5 {
					c.Encrypt(p, p, 3)
					if !bytes.Equal(p, want) {
						t.Errorf("%s: wrong ciphertext", spec)
					}
					c.Decrypt(p, p, 3)
					if !bytes.Equal(p, plain) {
						t.Errorf("%s: wrong plaintext", spec)
					}
				}
			})
		}
		wg.Wait()
	}
}

// TestKeyNotRetained wipes the key after use, as callers do.
func TestKeyNotRetained(t *testing.T) {
	for _, spec := range []string{"serpent-xts-plain64", "xchacha12,aes-adiantum-plain64", "xchacha20,aes-adiantum-plain64"} {
		var out [2][512]byte
		for i := range out {
			key := bytes.Repeat([]byte{7}, 32)
			c, err := dmcrypt.New(spec, key, dmcrypt.Options{})
			if err != nil {
				t.Fatal(err)
			}
			if i == 1 {
				clear(key)
			}
			c.Encrypt(out[i][:], out[i][:], 1)
		}
		if out[0] != out[1] {
			t.Errorf("%s: wiping the key changed the cipher", spec)
		}
	}
}

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	p, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return p
}
