package pbkdf2

import (
	"bytes"
	"context"
	stdlib "crypto/pbkdf2"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha3"
	"crypto/sha512"
	"encoding/hex"
	"errors"
	"hash"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ripemd160"
)

var hashes = map[string]func() hash.Hash{
	"sha1": sha1.New, "sha256": sha256.New, "sha512": sha512.New, "sha384": sha512.New384,
	"sha3-256": func() hash.Hash { return sha3.New256() }, "ripemd160": ripemd160.New,
	"without a state": func() hash.Hash { return plain{sha256.New()} },
}

// plain is a hash that cannot be marshaled.
type plain struct{ hash.Hash }

// TestRFC6070 checks the vectors of RFC 6070, for SHA-1.
func TestRFC6070(t *testing.T) {
	for _, c := range []struct {
		password, salt string
		iterations     uint64
		want           string
	}{
		{"password", "salt", 1, "0c60c80f961f0e71f3a9b524af6012062fe037a6"},
		{"password", "salt", 4096, "4b007901b765489abead49d926f721d065a429c1"},
		{"passwordPASSWORDpassword", "saltSALTsaltSALTsaltSALTsaltSALTsalt", 4096, "3d2eec4fe41c849b80c8d83662c0e44a8b291a964cf2f07038"},
		{"pass\x00word", "sa\x00lt", 4096, "56fa6aa75548099dcc37d7f03425e0c3"},
	} {
		got, err := Key(t.Context(), sha1.New, []byte(c.password), []byte(c.salt), c.iterations, len(c.want)/2)
		if err != nil || hex.EncodeToString(got) != c.want {
			t.Errorf("%q, %d: %x, %v, want %s", c.password, c.iterations, got, err, c.want)
		}
	}
}

// TestStandardLibrary compares with the standard library, for passwords around the block length and
// keys around the digest length.
func TestStandardLibrary(t *testing.T) {
	for name, h := range hashes {
		for _, password := range []int{0, 1, 63, 64, 65, 127, 128, 129, 200} {
			for _, n := range []int{1, 20, 32, 33, 64, 65, 130} {
				p, salt := []byte(strings.Repeat("p", password)), []byte("0123456789abcdef0123456789abcdef")
				want, err := stdlib.Key(h, string(p), salt, 3, n)
				if err != nil {
					t.Fatal(err)
				}
				got, err := Key(t.Context(), h, p, salt, 3, n)
				if err != nil || !bytes.Equal(got, want) {
					t.Errorf("%s, password of %d bytes, key of %d: %x, %v, want %x", name, password, n, got, err, want)
				}
			}
		}
	}
}

func TestCancelled(t *testing.T) {
	cause := errors.New("enough")
	ctx, cancel := context.WithCancelCause(t.Context())
	time.AfterFunc(time.Millisecond, func() { cancel(cause) })
	if k, err := Key(ctx, sha256.New, []byte("p"), nil, 1<<62, 32); err != cause || k != nil {
		t.Errorf("%x, %v", k, err)
	}
}

// TestWiped checks that no part of the password is left in an HMAC.
func TestWiped(t *testing.T) {
	for name, h := range hashes {
		for _, n := range []int{10, 100, 300} {
			m := newHMAC(h, bytes.Repeat([]byte("q"), n))
			m.sum(make([]byte, m.size()), []byte("message"))
			m.wipe()
			for _, p := range [][]byte{m.innerKeyed, m.outerKeyed, m.innerPad, m.outerPad, m.digest} {
				if !bytes.Equal(p, make([]byte, len(p))) {
					t.Errorf("%s, key of %d bytes: %x is left", name, n, p)
				}
			}
		}
	}
}

func BenchmarkKey(b *testing.B) {
	for _, name := range []string{"sha1", "sha256", "sha512"} {
		h := hashes[name]
		b.Run(name+"/luksimg", func(b *testing.B) {
			for b.Loop() {
				Key(b.Context(), h, []byte("password"), make([]byte, 32), 100_000, 64)
			}
		})
		b.Run(name+"/stdlib", func(b *testing.B) {
			for b.Loop() {
				stdlib.Key(h, "password", make([]byte, 32), 100_000, 64)
			}
		})
	}
}
