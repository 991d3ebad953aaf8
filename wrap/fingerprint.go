package wrap

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"

	"github.com/luksimg/luksimg/internal/pbkdf2"
)

const (
	fingerprintDomain = "luksimg key fingerprint v1"
	fingerprintBytes  = 8
	fingerprintMinKey = 32
)

// Fingerprint returns 16 hexadecimal digits that identify a disk key: the first 8 bytes of HMAC-SHA-256 over a fixed
// text, with the disk key as the HMAC key. They reveal nothing of the key.
//
// That holds for generated keys. An attacker could search for a short passphrase with its fingerprint, much faster
// than with the image's slow key slots. For a key of less than 32 bytes the result is therefore "".
func Fingerprint(disk []byte) string {
	if len(disk) < fingerprintMinKey {
		return ""
	}
	mac := pbkdf2.MAC(sha256.New, disk, []byte(fingerprintDomain))
	return hex.EncodeToString(mac[:fingerprintBytes])
}

// SameKey reports, in constant time, whether a disk key has the fingerprint. An empty fingerprint matches no key.
func SameKey(disk []byte, fingerprint string) bool {
	have := Fingerprint(disk)
	return have != "" && hmac.Equal([]byte(have), []byte(fingerprint))
}
