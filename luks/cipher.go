package luks

import (
	"fmt"

	"github.com/luksimg/luksimg/xts"
)

// newCipher returns the cipher that a header calls encryption, for sectors of
// sectorSize bytes numbered from 0. It keeps no reference to key.
func newCipher(encryption string, key []byte, sectorSize int) (*xts.Cipher, error) {
	if encryption != cipherXTS {
		return nil, unsupported("cipher %q", encryption)
	}
	c, err := xts.New(key, xts.Options{SectorSize: sectorSize})
	if err != nil {
		return nil, fmt.Errorf("luks: %w", err)
	}
	return c, nil
}
