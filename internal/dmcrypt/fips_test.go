package dmcrypt_test

import (
	"crypto/fips140"
	"errors"
	"os"
	"os/exec"
	"testing"

	"github.com/luksimg/luksimg/internal/dmcrypt"
)

// approvals are ciphers with their key length in bytes, and whether they are approved.
var approvals = []struct {
	spec string
	key  int
	ok   bool
}{
	{"aes-xts-plain64", 64, true},
	{"aes-xts-plain64", 32, true},
	{"aes-xts-plain", 64, true},
	{"capi:xts(aes)-plain64", 64, true},
	{"aes-cbc-essiv:sha256", 32, true},
	{"aes-xts-plain64", 48, false},
	{"aes-xts-plain64be", 64, false},
	{"aes-xts-essiv:sha256", 64, false},
	{"aes-cbc-essiv:md5", 16, false},
	{"aes-cbc-plain64", 32, false},
	{"aes-ctr-plain64", 32, false},
	{"aes-ecb", 32, false},
}

func TestApproved(t *testing.T) {
	for _, c := range approvals {
		if err := dmcrypt.Approved(c.spec, c.key); (err == nil) != c.ok || err != nil && !errors.Is(err, dmcrypt.ErrNotApproved) {
			t.Errorf("%s, %d bytes: %v", c.spec, c.key, err)
		}
	}
	for name, ok := range map[string]bool{"sha256": true, "SHA512": true, "sha3-256": true, "sha1": false, "md5": false, "whirlpool": false, "": false} {
		if err := dmcrypt.ApprovedHash(name); (err == nil) != ok {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestEnforced runs itself in strict mode. Approved ciphers must work, others must return an error, and
// nothing must panic.
func TestEnforced(t *testing.T) {
	if !fips140.Enforced() {
		if testing.Short() {
			t.Skip("-short: an emulator cannot run the programs that this test starts")
		}
		c := exec.Command(os.Args[0], "-test.run=^TestEnforced$", "-test.v")
		c.Env = append(os.Environ(), "GODEBUG=fips140=only")
		if out, err := c.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		return
	}
	for _, c := range approvals {
		key := make([]byte, c.key)
		key[0] = 1
		s, err := dmcrypt.New(c.spec, key, dmcrypt.Options{})
		if (err == nil) != c.ok || err != nil && !errors.Is(err, dmcrypt.ErrNotApproved) {
			t.Errorf("%s, %d bytes: %v", c.spec, c.key, err)
		}
		if err == nil {
			p := make([]byte, 1024)
			s.Encrypt(p, p, 7)
			s.Decrypt(p, p, 7)
			s.Close()
			if p[0] != 0 || p[1023] != 0 {
				t.Errorf("%s: the decrypted data differs", c.spec)
			}
		}
	}
	for _, name := range []string{"sha1", "sha224", "sha256", "sha384", "sha512", "sha512-224", "sha512-256", "sha3-224", "sha3-256", "sha3-384", "sha3-512"} {
		h, err := dmcrypt.Hash(name)
		if (err == nil) != (name != "sha1") {
			t.Errorf("%s: %v", name, err)
		}
		if err == nil {
			d := h()
			d.Write([]byte("x"))
			d.Sum(nil)
		}
	}
}
