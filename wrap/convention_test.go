package wrap_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/luksimg/luksimg/wrap"
)

func TestNewDEK(t *testing.T) {
	for _, size := range []wrap.Size{32, 48, 64} {
		a, err := wrap.NewDEK(size)
		if err != nil || len(a) != int(size) {
			t.Fatalf("%d bytes: %d, %v", size, len(a), err)
		}
		b, _ := wrap.NewDEK(size)
		if bytes.Equal(a, b) {
			t.Errorf("%d bytes: the same key twice", size)
		}
	}
	for _, size := range []wrap.Size{0, -1, 16, 33, 128} {
		if _, err := wrap.NewDEK(size); !errors.Is(err, wrap.ErrKey) {
			t.Errorf("%d bytes: %v", size, err)
		}
	}
}

// TestConventionsDocumented checks the examples in IBM's documentation.
func TestConventionsDocumented(t *testing.T) {
	vhdKey, err := base64.StdEncoding.DecodeString("Nrfen98EpMxF2B+wdgLfagzrqvgUZfMK4vL2T0NsT20ihrsNC9pUUHtizF6218pze8RLCgQ6kwxuE58IWLzgDA==")
	if err != nil {
		t.Fatal(err)
	}
	luksText := base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{7}, 32))
	for _, c := range []struct {
		convention              wrap.Convention
		material, disk, wrapped string
	}{
		{wrap.VPCQCOW2, "abc123", "abc123", "YWJjMTIz"},
		{wrap.ClassicVHD, string(vhdKey), string(vhdKey), "Nrfen98EpMxF2B+wdgLfagzrqvgUZfMK4vL2T0NsT20ihrsNC9pUUHtizF6218pze8RLCgQ6kwxuE58IWLzgDA=="},
		{wrap.ClassicLUKS, luksText, luksText, luksText},
		{wrap.None, "\x00\n", "\x00\n", "AAo="},
		{"", "x", "x", "eA=="},
	} {
		keys, err := c.convention.Keys([]byte(c.material))
		if err != nil {
			t.Errorf("%s: %v", c.convention, err)
			continue
		}
		if string(keys.Disk) != c.disk || string(keys.Plaintext) != c.wrapped {
			t.Errorf("%s: disk %q and wrapped %q, want %q and %q", c.convention, keys.Disk, keys.Plaintext, c.disk, c.wrapped)
		}
		back, err := c.convention.Unwrapped(keys.Plaintext)
		if err != nil || string(back) != c.disk {
			t.Errorf("%s: unwrapped %q, %v", c.convention, back, err)
		}
		keys.Clear()
		if strings.Trim(string(keys.Disk), "\x00") != "" || strings.Trim(string(keys.Plaintext), "\x00") != "" {
			t.Errorf("%s: Clear did not wipe everything", c.convention)
		}
	}
}

// TestConventionsDiffer wraps by one convention and opens by another. The keys must differ: with this mistake an
// image would not boot.
func TestConventionsDiffer(t *testing.T) {
	dek := bytes.Repeat([]byte{0xa5}, 32)
	luks := material(t, wrap.ClassicLUKS, dek)
	keys, err := wrap.ClassicLUKS.Keys(luks)
	if err != nil {
		t.Fatal(err)
	}
	asVHD, err := wrap.ClassicVHD.Unwrapped(keys.Plaintext)
	if err != nil || !bytes.Equal(asVHD, dek) || bytes.Equal(asVHD, keys.Disk) {
		t.Errorf("as classic-vhd: %x, %v", asVHD, err)
	}
	if _, err := wrap.VPCQCOW2.Unwrapped(keys.Plaintext); !errors.Is(err, wrap.ErrKey) {
		t.Errorf("random bytes as vpc-qcow2: %v", err)
	}
	vpc, err := wrap.VPCQCOW2.Keys(material(t, wrap.VPCQCOW2, dek))
	if err != nil {
		t.Fatal(err)
	}
	asLUKS, err := wrap.ClassicLUKS.Unwrapped(vpc.Plaintext)
	if err != nil || bytes.Equal(asLUKS, vpc.Disk) {
		t.Errorf("as classic-luks: %q, %v", asLUKS, err)
	}
}

func material(t *testing.T, c wrap.Convention, dek []byte) []byte {
	t.Helper()
	m, err := c.Material(dek)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// TestMaterial checks that generated material passes the check of its convention.
func TestMaterial(t *testing.T) {
	for _, c := range []wrap.Convention{wrap.None, wrap.ClassicLUKS, wrap.ClassicVHD, wrap.VPCQCOW2} {
		for _, size := range []wrap.Size{32, 48, 64} {
			dek, err := wrap.NewDEK(size)
			if err != nil {
				t.Fatal(err)
			}
			m, err := c.Material(dek)
			if c == wrap.ClassicVHD && size == 48 {
				if !errors.Is(err, wrap.ErrKey) {
					t.Errorf("48 bytes as an XTS key: %v", err)
				}
				continue
			}
			if err != nil {
				t.Errorf("%s, %d: %v", c, size, err)
				continue
			}
			if err := c.Check(m); err != nil {
				t.Errorf("%s, %d: %v", c, size, err)
			}
		}
		if _, err := c.Material(nil); !errors.Is(err, wrap.ErrKey) {
			t.Errorf("%s: no DEK: %v", c, err)
		}
	}
}

func TestCheckRefuses(t *testing.T) {
	secret := base64.StdEncoding.EncodeToString([]byte("a very secret key of many bytes!"))
	for _, c := range []struct {
		convention wrap.Convention
		material   string
		want       string
	}{
		{wrap.None, "", "empty"},
		{wrap.None, strings.Repeat("x", 4097), "4097 bytes"},
		{wrap.ClassicLUKS, secret + "\n", "newline"},
		{wrap.ClassicLUKS, secret[:20] + "\r\n" + secret[20:], "line break after 20"},
		{wrap.ClassicLUKS, secret[:28], "28 characters"},
		{wrap.ClassicLUKS, strings.Repeat("QUFB", 129), "516 characters"},
		{wrap.ClassicLUKS, strings.TrimRight(secret, "="), "not base64"},
		{wrap.ClassicLUKS, "a very secret passphrase of more than 32 characters!", "not base64"},
		{wrap.ClassicLUKS, strings.Repeat("A", 42) + "B=", "not base64"}, // loose bits
		{wrap.ClassicVHD, secret, "decode it first"},
		{wrap.ClassicVHD, secret + "\n", "decode it first"},
		{wrap.ClassicVHD, "x1y2z3w4v5u6t7s8r9q0p1o2n3m4l5k6\n", "33 bytes"},
		{wrap.ClassicVHD, strings.Repeat("x", 48), "48 bytes"},
		{wrap.VPCQCOW2, "abc123\n", "newline"},
		{wrap.VPCQCOW2, "abc\n123", "line break after 3"},
		{wrap.VPCQCOW2, "abc\xff123", "UTF-8"},
		{wrap.VPCQCOW2, "abc\x00123", "zero byte"},
		{wrap.VPCQCOW2, strings.Repeat("x", 513), "513 bytes"},
		{wrap.VPCQCOW2, "", "empty"},
	} {
		err := c.convention.Check([]byte(c.material))
		if !errors.Is(err, wrap.ErrKey) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.convention, err, c.want)
			continue
		}
		for i := 0; i+6 <= len(c.material); i++ {
			if part := c.material[i : i+6]; strings.Contains(err.Error(), part) {
				t.Errorf("%s: the error %q holds %q of the key", c.convention, err, part)
			}
		}
		if _, err := c.convention.Keys([]byte(c.material)); !errors.Is(err, wrap.ErrKey) {
			t.Errorf("%s: Keys accepts what Check refuses: %v", c.convention, err)
		}
	}
	if err := wrap.Convention("gcp").Check([]byte("x")); err == nil {
		t.Error("an unknown convention is accepted")
	}
	if _, err := wrap.ParseConvention("Classic-LUKS"); err == nil {
		t.Error("a name in upper case is accepted")
	}
}

func TestUnwrappedRefuses(t *testing.T) {
	for _, plaintext := range []string{"", "\n", "QUJD\n", "QUI", "QUJ=", "QU JD"} {
		for _, c := range []wrap.Convention{wrap.None, wrap.ClassicLUKS, wrap.ClassicVHD, wrap.VPCQCOW2} {
			if disk, err := c.Unwrapped([]byte(plaintext)); !errors.Is(err, wrap.ErrKey) {
				t.Errorf("%s: %q gives %q, %v", c, plaintext, disk, err)
			}
		}
	}
}

func TestFingerprint(t *testing.T) {
	key := bytes.Repeat([]byte{1}, 32)
	f := wrap.Fingerprint(key)
	// HMAC-SHA-256 of the text with this key, computed with Python's hmac. A change would invalidate existing
	// envelopes.
	if want := "9e901821b6ec9b79"; f != want {
		t.Errorf("fingerprint %s, want %s", f, want)
	}
	if !wrap.SameKey(key, f) || wrap.SameKey(bytes.Repeat([]byte{2}, 32), f) || wrap.SameKey(key, "") {
		t.Error("SameKey")
	}
	if f := wrap.Fingerprint([]byte("abc123")); f != "" || wrap.SameKey([]byte("abc123"), "") {
		t.Errorf("a short passphrase has the fingerprint %q", f)
	}
}

// TestSecretsStayOut checks that fmt and JSON never print secrets.
func TestSecretsStayOut(t *testing.T) {
	keys, err := wrap.VPCQCOW2.Keys([]byte("abc123secret"))
	if err != nil {
		t.Fatal(err)
	}
	u := wrap.Unwrapped{Plaintext: keys.Plaintext}
	for _, v := range []any{keys, &keys, u, &u} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
			text := fmt.Sprintf(verb, v)
			if strings.Contains(text, "abc123") || strings.Contains(text, string(keys.Plaintext)) || strings.Contains(text, "97 98") || strings.Contains(text, "0x61") {
				t.Errorf("%s of %T shows %s", verb, v, text)
			}
		}
		if _, err := json.Marshal(v); err == nil {
			t.Errorf("%T has become JSON", v)
		}
	}
	u.Clear()
	if strings.Trim(string(u.Plaintext), "\x00") != "" {
		t.Error("Clear did not wipe everything")
	}
}
