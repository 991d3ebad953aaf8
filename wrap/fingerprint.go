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

// Fingerprint returns 16 hexadecimal digits that tell one disk key from another: the
// first 8 bytes of HMAC-SHA-256 with the key as its key, over a text that is used for
// this only. Nothing of the key can be learnt from it.
//
// That holds for keys that were generated. A short passphrase could be searched for with
// its fingerprint, much faster than with the image, whose key slots are made slow. So a
// key of less than 32 bytes has none: the result is "".
func Fingerprint(disk []byte) string {
	if len(disk) < fingerprintMinKey {
		return ""
	}
	mac := pbkdf2.MAC(sha256.New, disk, []byte(fingerprintDomain))
	return hex.EncodeToString(mac[:fingerprintBytes])
}

// SameKey reports whether a disk key has the fingerprint, in constant time. An empty
// fingerprint says nothing and matches no key.
func SameKey(disk []byte, fingerprint string) bool {
	have := Fingerprint(disk)
	return have != "" && hmac.Equal([]byte(have), []byte(fingerprint))
}
