package dmcrypt

import (
	"encoding/binary"
	"math/bits"
)

// An ivGenerator writes the IV of sector n to iv, which is zero before and has the mode's IV size.
type ivGenerator func(iv []byte, n uint64)

// plainIVs are the IV generators that use only the sector number.
var plainIVs = []string{"benbi", "null", "plain", "plain64", "plain64be"}

// newIV returns the IV generator. key is the whole key of the specification.
func (d *design) newIV(key []byte) (ivGenerator, error) {
	switch d.spec.iv {
	case "plain":
		return func(iv []byte, n uint64) { binary.LittleEndian.PutUint32(iv, uint32(n)) }, nil
	case "plain64":
		return plain64, nil
	case "plain64be":
		return func(iv []byte, n uint64) { binary.BigEndian.PutUint64(iv[len(iv)-8:], n) }, nil
	case "benbi":
		// benbi is big-endian and counts blocks of the mode from 1, as LRW did.
		shift := 9 - bits.TrailingZeros(uint(d.mode.unit))
		return func(iv []byte, n uint64) { binary.BigEndian.PutUint64(iv[len(iv)-8:], n<<shift+1) }, nil
	case "essiv":
		return d.newESSIV(key)
	}
	return func([]byte, uint64) {}, nil // null
}

func plain64(iv []byte, n uint64) { binary.LittleEndian.PutUint64(iv, n) }

// newESSIV encrypts the number with the block cipher under the hash of the key.
func (d *design) newESSIV(key []byte) (ivGenerator, error) {
	h := d.essivHash()
	h.Write(key)
	salt := h.Sum(nil)
	defer clear(salt)
	b, err := d.newBlock(salt)
	if err != nil {
		return nil, err
	}
	return func(iv []byte, n uint64) {
		plain64(iv, n)
		b.Encrypt(iv, iv)
	}, nil
}
