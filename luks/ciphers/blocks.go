package ciphers

import (
	"crypto/cipher"

	"golang.org/x/crypto/cast5" //lint:ignore SA1019 images that have it want to be read
	"golang.org/x/crypto/twofish"

	"github.com/luksimg/luksimg/internal/dmcrypt"
	"github.com/luksimg/luksimg/luks/ciphers/internal/camellia"
	"github.com/luksimg/luksimg/luks/ciphers/internal/serpent"
)

func init() {
	dmcrypt.RegisterBlock("camellia", camellia.New, 16, 24, 32)
	dmcrypt.RegisterBlock("twofish", newTwofish, 16, 24, 32)
	dmcrypt.RegisterShortBlock("cast5", newCAST5, cast5.KeySize)
	var sizes []int
	for n := 1; n <= maxSerpentKey; n++ {
		sizes = append(sizes, n)
	}
	dmcrypt.RegisterBlock("serpent", newSerpent, sizes...)
}

func newTwofish(key []byte) (cipher.Block, error) { return twofish.NewCipher(key) }

// newCAST5 accepts only keys of 128 bits, as QEMU does.
func newCAST5(key []byte) (cipher.Block, error) { return cast5.NewCipher(key) }

const maxSerpentKey = 32

// newSerpent accepts keys of any length, as the kernel does: ESSIV with SHA-1 uses keys of 20 bytes. By
// definition, a shorter key is padded with a one bit and zeros.
func newSerpent(key []byte) (cipher.Block, error) {
	var padded [maxSerpentKey]byte
	defer clear(padded[:])
	if copy(padded[:], key) < maxSerpentKey {
		padded[len(key)] = 1
	}
	return serpent.NewCipher(padded[:])
}
