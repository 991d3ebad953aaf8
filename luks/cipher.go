package luks

import (
	"errors"
	"fmt"
	"hash"
	"strings"

	"github.com/luksimg/luksimg/internal/dmcrypt"
)

// DefaultCipher is AES in XTS mode with the sector number as tweak. It is cryptsetup's default since
// 2013, and the fastest cipher here.
const DefaultCipher = "aes-xts-plain64"

// newCipher returns the cipher for the header field encryption, for sectors of sectorSize bytes
// numbered from 0. It keeps no reference to key.
func newCipher(encryption string, key []byte, sectorSize int, allowNull bool) (dmcrypt.SectorCipher, error) {
	c, err := dmcrypt.New(encryption, key, dmcrypt.Options{SectorSize: sectorSize, AllowNull: allowNull})
	return c, cipherError(err)
}

func hashByName(name string) (func() hash.Hash, error) {
	h, err := dmcrypt.Hash(name)
	return h, cipherError(err)
}

// cipherError converts an error of package dmcrypt to an error class of this package.
func cipherError(err error) error {
	kind := ErrUnsupported
	switch {
	case err == nil:
		return nil
	case errors.Is(err, dmcrypt.ErrNull):
		kind = ErrNullCipher
	case errors.Is(err, dmcrypt.ErrNotApproved):
		return &notApproved{strings.TrimPrefix(err.Error(), "dmcrypt: ")}
	case errors.Is(err, dmcrypt.ErrKeySize):
		kind = ErrFormat
	}
	return fmt.Errorf("luks: %w: %s", kind, strings.TrimPrefix(err.Error(), "dmcrypt: "))
}

// slotCipher returns the cipher and the key length for the key material in a LUKS2 key slot, given
// those of the data. They are the same, except for ciphers that cryptsetup does not support in user
// space.
func slotCipher(encryption string, keySize int) (string, int) {
	for _, s := range []string{"capi:", "adiantum", "-ecb", "cipher_null"} {
		if strings.Contains(encryption, s) {
			return DefaultCipher, 64
		}
	}
	return encryption, keySize
}
