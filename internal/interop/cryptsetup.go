package interop

import (
	"encoding/hex"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// What follows is cryptsetup without a kernel: it reads headers and opens AES key
// slots by itself, and re-encrypts LUKS2 by itself too.

// LUKSDump returns what cryptsetup luksDump says of an image.
func LUKSDump(t testing.TB, image string) string {
	t.Helper()
	Need(t, "cryptsetup")
	return Must(t, "cryptsetup", "luksDump", image).Stdout
}

// CheckHeaders fails the test if cryptsetup finds a header of the image in need of
// repair. It repairs one silently, even when it is only asked to show it, so the
// file must come out of this as it went in.
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

// TestPassphrase lets cryptsetup open a key slot with a passphrase file, without a
// kernel, and returns its exit status. typ is "luks1" or "luks2".
func TestPassphrase(t testing.TB, image, keyFile, typ string) int {
	t.Helper()
	Need(t, "cryptsetup")
	return Run(t, "cryptsetup", "open", "--test-passphrase", "--type", typ, "--key-file", keyFile, image).Code
}

// VolumeKey returns the key of the image's data, as cryptsetup gets it out of a
// key slot.
func VolumeKey(t testing.TB, image, keyFile string) []byte {
	t.Helper()
	Need(t, "cryptsetup")
	dump := Must(t, "cryptsetup", "luksDump", "-q", "--dump-volume-key", "--key-file", keyFile, image).Stdout
	// Rows of hexadecimal bytes, of which all but the first stand alone on a line.
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

// ConvertToLUKS2 lets cryptsetup make LUKS2 of a copy of a LUKS1 image, and returns
// the copy's path.
func ConvertToLUKS2(t testing.TB, image string) string {
	t.Helper()
	Need(t, "cryptsetup")
	dst := CopyFile(t, image)
	Must(t, "cryptsetup", "-q", "convert", "--type", "luks2", dst)
	return dst
}

// DecryptLUKS2 lets cryptsetup decrypt a copy of a LUKS2 image all by itself, by
// re-encrypting it to nothing, and returns the file with the plaintext. The file is
// as long as the image was; what follows the plaintext is of no meaning.
func DecryptLUKS2(t testing.TB, image, keyFile string) string {
	t.Helper()
	Need(t, "cryptsetup")
	dst := CopyFile(t, image)
	// The lock would be in a folder of root, and the copy is nobody else's.
	Must(t, "cryptsetup", "reencrypt", "-q", "--decrypt", "--force-offline-reencrypt", "--disable-locks",
		"--header", filepath.Join(t.TempDir(), "header"), "--key-file", keyFile, dst)
	return dst
}
