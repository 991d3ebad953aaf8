package dmcrypt

import (
	"errors"
	"strings"
	"testing"
)

func TestParse(t *testing.T) {
	for text, want := range map[string]spec{
		"aes":                                  {cipher: "aes", mode: "cbc", iv: "plain"},
		"aes-plain":                            {cipher: "aes", mode: "cbc", iv: "plain"},
		"aes-ecb":                              {cipher: "aes", mode: "ecb"},
		"aes-xts-plain64":                      {cipher: "aes", mode: "xts", iv: "plain64"},
		"serpent-cbc-essiv:sha3-256":           {cipher: "serpent", mode: "cbc", iv: "essiv", ivOpts: "sha3-256"},
		"xchacha12,aes-adiantum-plain64":       {cipher: "xchacha12,aes", mode: "adiantum", iv: "plain64"},
		"capi:ecb(aes)":                        {cipher: "aes", mode: "ecb"},
		"capi:cbc(aes)-essiv:sha3-256":         {cipher: "aes", mode: "cbc", iv: "essiv", ivOpts: "sha3-256"},
		"capi:adiantum(xchacha20,aes)-plain64": {cipher: "xchacha20,aes", mode: "adiantum", iv: "plain64"},
	} {
		want.text = text
		got, err := parse(text)
		if err != nil || *got != want {
			t.Errorf("parse(%q) = %+v, %v, want %+v", text, got, err, want)
		}
	}
}

// unknownSpecs are invalid specifications, and those of unsupported ciphers.
var unknownSpecs = []string{
	"", "-", "--", "-cbc-plain", "aes-", "aes--", "aes--plain64", "aes-xts", "aes-xts-", "aes-cbc-:sha256",
	"aes-xts-plain65", "aes-xts-plain64-foo", "aes-foo-plain64", "aes-lrw-benbi", "aes-cbc-random",
	"aes-cbc-tcw", "aes:64-cbc-lmk", "aes:2-cbc-plain", "aes-cbc-lmk", "aes-cbc-eboiv", "aes-cbc-elephant",
	"AES-xts-plain64", "aes-XTS-plain64", "aes-xts-PLAIN64", "aes -xts-plain64", "aes\x00-xts-plain64",
	"blowfish-cbc-plain", "des3_ede-cbc-plain", "aegis128-random", "chacha20-plain64",
	"xts(aes)-plain64", "capi:", "capi:aes", "capi:aes-plain64", "capi:xts(aes", "capi:xts)aes(-plain64",
	"capi:xts()-plain64", "capi:xts(aes)", "capi:xts(aes)-", "capi:(aes)-plain64", "capi:xts(ecb(aes))-plain64",
	"capi:xts-aes-aesni-plain64", "capi:authenc(hmac(sha256),xts(aes))-plain64", "capi:rfc7539(chacha20,poly1305)-random",
	"capi:capi:xts(aes)-plain64", "aes-adiantum-plain64", "xchacha12-adiantum-plain64", "xchacha8,aes-adiantum-plain64",
	"xchacha12,serpent-adiantum-plain64", "xchacha12,aes-xts-plain64", "serpent-adiantum-plain64", "sha256-xts-plain64",
	"ripemd160-xts-plain64", "aes-cbc-essiv", "aes-cbc-essiv:", "aes-cbc-essiv:sha1", "aes-cbc-essiv:sha224",
	"aes-cbc-essiv:sha384", "aes-cbc-essiv:sha512", "aes-ecb-essiv:sha256", "aes-ecb-foo",
	strings.Repeat("a", 129), "aes-xts-plain64:" + strings.Repeat("a", 1<<20),
}

func TestUnknown(t *testing.T) {
	for _, text := range unknownSpecs {
		_, err := New(text, make([]byte, 32), Options{AllowNull: true})
		if !errors.Is(err, ErrUnknownCipher) {
			t.Errorf("%.200q: %v", text, err)
		}
		for _, other := range []error{ErrKeySize, ErrNotRegistered, ErrNull, ErrUnknownHash} {
			if errors.Is(err, other) {
				t.Errorf("%.200q: %v also matches %v", text, err, other)
			}
		}
		if err != nil && (len(err.Error()) > 500 || !strings.HasPrefix(err.Error(), "dmcrypt: cipher ")) {
			t.Errorf("%.200q: error text of %d bytes: %.200s", text, len(err.Error()), err)
		}
	}
}

func TestUnknownESSIVHash(t *testing.T) {
	for _, name := range []string{"sha257", "SHA256", "sha256 ", "aes", "plain64"} {
		if _, err := KeySizes("aes-cbc-essiv:" + name); !errors.Is(err, ErrUnknownHash) {
			t.Errorf("ESSIV with %q: %v", name, err)
		}
	}
}

func TestNull(t *testing.T) {
	for _, text := range []string{"cipher_null-ecb", "cipher_null-ecb-null", "capi:ecb(cipher_null)"} {
		if _, err := New(text, make([]byte, 32), Options{}); !errors.Is(err, ErrNull) {
			t.Errorf("New(%s): got %v, want ErrNull", text, err)
		}
		if _, err := KeySizes(text); !errors.Is(err, ErrNull) {
			t.Errorf("KeySizes(%s): %v", text, err)
		}
		if err := CheckKeySize(text, 32); !errors.Is(err, ErrNull) {
			t.Errorf("CheckKeySize(%s): %v", text, err)
		}
		c, err := New(text, nil, Options{AllowNull: true, SectorSize: 1024})
		if err != nil {
			t.Fatal(err)
		}
		src, dst := []byte(strings.Repeat("text", 512)), make([]byte, 2048)
		c.Decrypt(dst, src, 5)
		c.Encrypt(dst, dst, 5)
		if string(dst) != string(src) || c.SectorSize() != 1024 {
			t.Errorf("%s does not copy", text)
		}
		c.Close()
	}
	for _, text := range []string{"cipher_null", "cipher_null-cbc-plain", "cipher_null-xts-plain64"} {
		if _, err := New(text, make([]byte, 32), Options{AllowNull: true}); !errors.Is(err, ErrNull) {
			t.Errorf("New(%s): got %v, want ErrNull", text, err)
		}
	}
}

// TestNotRegistered checks the errors in a program that does not import package luks/ciphers.
func TestNotRegistered(t *testing.T) {
	const hint = `import _ "github.com/luksimg/luksimg/luks/ciphers"`
	for _, text := range []string{
		"serpent-xts-plain64", "twofish-cbc-essiv:sha256", "camellia-ecb", "xchacha12,aes-adiantum-plain64",
		"capi:adiantum(xchacha20,aes)-plain64", "aes-cbc-essiv:blake2b-256", "aes-cbc-essiv:rmd160",
	} {
		_, err := New(text, make([]byte, 32), Options{})
		if !errors.Is(err, ErrNotRegistered) || !strings.Contains(err.Error(), hint) {
			t.Errorf("New(%s): got %v, want ErrNotRegistered", text, err)
		}
	}
	for _, name := range optionalHashes {
		_, err := Hash(name)
		if !errors.Is(err, ErrNotRegistered) || !strings.Contains(err.Error(), hint) {
			t.Errorf("hash %s: %v", name, err)
		}
	}
}

// FuzzNew looks for specifications for which New and KeySizes disagree, or panic.
func FuzzNew(f *testing.F) {
	for _, text := range allSpecs {
		f.Add(text)
	}
	for _, text := range unknownSpecs {
		f.Add(text[:min(len(text), 200)])
	}
	f.Add("cipher_null-ecb")
	f.Add("serpent-xts-plain64")
	f.Fuzz(func(t *testing.T, text string) {
		sizes, err := KeySizes(text)
		if err != nil {
			if _, errNew := New(text, make([]byte, 32), Options{}); errNew == nil || errNew.Error() != err.Error() {
				t.Fatalf("KeySizes says %v, New %v", err, errNew)
			}
			return
		}
		for _, n := range sizes {
			c, err := New(text, make([]byte, n), Options{})
			if err != nil {
				t.Fatalf("a key of %d bytes: %v", n, err)
			}
			p := make([]byte, 1024)
			c.Encrypt(p, p, 1<<32-1)
			c.Decrypt(p, p, 1<<32-1)
			if string(p) != string(make([]byte, 1024)) {
				t.Fatal("decrypted differs")
			}
			c.Close()
		}
	})
}
