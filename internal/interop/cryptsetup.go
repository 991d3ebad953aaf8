package interop

import (
	"encoding/hex"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// The functions in this file run cryptsetup without a kernel. It reads headers, opens AES key slots and
// re-encrypts LUKS2 in user space.

// LUKSDump returns the output of cryptsetup luksDump for an image.
func LUKSDump(t testing.TB, image string) string {
	t.Helper()
	Need(t, "cryptsetup")
	return Must(t, "cryptsetup", "luksDump", image).Stdout
}

// CheckHeaders fails the test if cryptsetup finds a header of the image in need of repair. cryptsetup
// repairs headers silently, even in luksDump, so CheckHeaders also requires that the file did not
// change.
func CheckHeaders(t testing.TB, image string) {
	t.Helper()
	Need(t, "cryptsetup")
	before := FileSHA256(t, image)
	r := Must(t, "cryptsetup", "--debug", "luksDump", image)
	for line := range strings.Lines(r.Stdout + r.Stderr) {
		if strings.Contains(line, "requires recovery") || strings.Contains(line, "checksum error") {
			t.Errorf("cryptsetup of %s: %s", filepath.Base(image), strings.TrimSpace(line))
		}
	}
	if FileSHA256(t, image) != before {
		t.Errorf("cryptsetup luksDump changed %s", filepath.Base(image))
	}
}

// TestPassphrase opens a key slot with a passphrase file in cryptsetup, without a kernel, and returns
// its exit status. typ is "luks1" or "luks2".
func TestPassphrase(t testing.TB, image, keyFile, typ string) int {
	t.Helper()
	Need(t, "cryptsetup")
	return Run(t, "cryptsetup", "open", "--test-passphrase", "--type", typ, "--key-file", keyFile, image).Code
}

// VolumeKey returns the volume key of the image that cryptsetup extracts from a key slot.
func VolumeKey(t testing.TB, image, keyFile string) []byte {
	t.Helper()
	Need(t, "cryptsetup")
	dump := Must(t, "cryptsetup", "luksDump", "-q", "--dump-volume-key", "--key-file", keyFile, image).Stdout
	// The key is printed in rows of hexadecimal bytes. All rows except the first are on their own
	// lines.
	_, rows, ok := strings.Cut(dump, "MK dump:")
	if !ok {
		t.Fatalf("no volume key in the dump of %s", image)
	}
	digits := strings.Join(regexp.MustCompile(`\b[0-9a-f]{2}\b`).FindAllString(rows, -1), "")
	key, err := hex.DecodeString(digits)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// ConvertToLUKS2 converts a copy of a LUKS1 image to LUKS2 with cryptsetup, and returns the path of the
// copy.
func ConvertToLUKS2(t testing.TB, image string) string {
	t.Helper()
	Need(t, "cryptsetup")
	dst := CopyFile(t, image)
	Must(t, "cryptsetup", "-q", "convert", "--type", "luks2", dst)
	return dst
}

// DecryptLUKS2 decrypts a copy of a LUKS2 image with cryptsetup reencrypt --decrypt, and returns the
// file with the plaintext. The file is as long as the image, and the bytes behind the plaintext are
// undefined.
func DecryptLUKS2(t testing.TB, image, keyFile string) string {
	t.Helper()
	Need(t, "cryptsetup")
	dst := CopyFile(t, image)
	// The default lock directory belongs to root, and no other process uses the copy.
	Must(t, "cryptsetup", "reencrypt", "-q", "--decrypt", "--force-offline-reencrypt", "--disable-locks",
		"--header", filepath.Join(t.TempDir(), "header"), "--key-file", keyFile, dst)
	return dst
}
