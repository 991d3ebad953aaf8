// Package dmcrypt encrypts and decrypts runs of disk sectors as the Linux kernel's
// dm-crypt does, by its cipher specifications: "aes-xts-plain64",
// "aes-cbc-essiv:sha256", "capi:adiantum(xchacha12,aes)-plain64". What counts is the
// kernel's result, byte for byte.
//
// AES, the modes of operation and the hashes of the standard library are built in.
// Other block ciphers and hashes register themselves when the package luks/ciphers is
// imported; a specification that needs one of them before that is refused with
// [ErrNotRegistered].
package dmcrypt

import (
	"fmt"
	"slices"
)

// A SectorCipher encrypts and decrypts sectors under one key. It is safe for
// concurrent use, Close excepted.
type SectorCipher interface {
	// Encrypt encrypts the whole sectors in src into dst. The first has the number
	// sector, counted in sectors of SectorSize bytes, and each further one the next
	// number. It panics if len(src) is not a multiple of the sector size, if dst is
	// shorter than src, or if the two overlap without being the same memory.
	Encrypt(dst, src []byte, sector uint64)

	// Decrypt is the inverse of Encrypt, with the same rules.
	Decrypt(dst, src []byte, sector uint64)

	// SectorSize returns the size of a sector in bytes.
	SectorSize() int

	// Close lets go of the keys, and wipes those that are not held by a block cipher
	// that gives no way to do so. Encrypting or decrypting afterwards panics; closing
	// again does nothing.
	Close()
}

// Options says how sectors are cut and numbered. The zero value is what LUKS1 and key
// slots have: sectors of 512 bytes.
type Options struct {
	// SectorSize is the size of a sector in bytes: 512, 1024, 2048 or 4096.
	// Zero means 512.
	SectorSize int

	// LargeIV makes the IV count sectors of SectorSize, as dm-crypt does with
	// iv_large_sectors. By default it counts units of 512 bytes whatever the sector
	// size, so that sector n of 4096 bytes has the IV of number 8n.
	LargeIV bool

	// AllowNull makes New return, for cipher_null, what copies its input. By default
	// it refuses with ErrNull.
	AllowNull bool
}

// New returns the cipher that a specification names, for a key of one of its
// [KeySizes]. The key is not retained; the caller may wipe it.
//
// Errors are [ErrUnknownCipher], [ErrNotRegistered], [ErrNull], [ErrKeySize], or of a
// sector size that dm-crypt does not have; in Go's mode fips140=only [ErrNotApproved] too.
func New(spec string, key []byte, opts Options) (SectorCipher, error) {
	switch opts.SectorSize {
	case 0:
		opts.SectorSize = minSectorSize
	case 512, 1024, 2048, 4096:
	default:
		return nil, fmt.Errorf("dmcrypt: sector size %d, want 512, 1024, 2048 or 4096", opts.SectorSize)
	}
	d, err := resolve(spec)
	if err != nil {
		if opts.AllowNull && isNullECB(spec) {
			return &null{sectorSize: opts.SectorSize}, nil
		}
		return nil, err
	}
	if err := d.checkKeySize(len(key)); err != nil {
		return nil, err
	}
	return d.build(key, opts)
}

// KeySizes returns the sizes in bytes, ascending, of the keys that the cipher of a
// specification takes, or the error that [New] returns for it.
func KeySizes(spec string) ([]int, error) {
	d, err := resolve(spec)
	if err != nil {
		return nil, err
	}
	return d.keySizes(), nil
}

// CheckKeySize returns the error that [New] returns for a specification and a key of
// size bytes: nil if it is right. It needs no key.
func CheckKeySize(spec string, size int) error {
	d, err := resolve(spec)
	if err != nil {
		return err
	}
	return d.checkKeySize(size)
}

func (d *design) checkKeySize(size int) error {
	if sizes := d.keySizes(); !slices.Contains(sizes, size) {
		return d.spec.refuse(fmt.Errorf("%w: %d bytes, want %s", ErrKeySize, size, anyOf(sizes)))
	}
	return d.spec.enforce(size)
}
