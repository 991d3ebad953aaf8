// Package dmcrypt encrypts and decrypts runs of disk sectors like dm-crypt of the Linux kernel. It
// accepts dm-crypt's cipher specifications: "aes-xts-plain64", "aes-cbc-essiv:sha256",
// "capi:adiantum(xchacha12,aes)-plain64". The result equals the kernel's, byte for byte.
//
// AES, the modes of operation and the hashes of the standard library are built in. Package luks/ciphers
// registers other block ciphers and hashes when it is imported. Without that import, a specification
// that needs them is [ErrNotRegistered].
package dmcrypt

import (
	"fmt"
	"slices"
)

// A SectorCipher encrypts and decrypts sectors with one key. Except for Close, its methods are safe for
// concurrent use.
type SectorCipher interface {
	// Encrypt encrypts the whole sectors in src into dst. The first has the given sector number,
	// counted in sectors of SectorSize bytes; numbers ascend. Encrypt panics if len(src) is not a
	// multiple of the sector size, or if dst is shorter than src. It also panics if the two overlap but
	// do not start at the same byte.
	Encrypt(dst, src []byte, sector uint64)

	// Decrypt is the inverse of Encrypt, with the same rules.
	Decrypt(dst, src []byte, sector uint64)

	// SectorSize returns the size of a sector in bytes.
	SectorSize() int

	// Close drops the keys. It wipes those that are not inside a block cipher that cannot be wiped.
	// Encrypting or decrypting afterwards panics; closing again does nothing.
	Close()
}

// Options set the size and the numbering of sectors. The zero value is that of LUKS1 and of key slots:
// sectors of 512 bytes.
type Options struct {
	// SectorSize is the size of a sector in bytes: 512, 1024, 2048 or 4096.
	// Zero means 512.
	SectorSize int

	// LargeIV makes the IV count sectors of SectorSize, as dm-crypt does with iv_large_sectors. By
	// default it counts units of 512 bytes: sector n of 4096 bytes has the IV number 8n.
	LargeIV bool

	// AllowNull makes New accept cipher_null, which copies its input. By default the error is ErrNull.
	AllowNull bool
}

// New returns the cipher of a specification for a key of one of its [KeySizes]. The key is not
// retained; the caller can wipe it.
//
// Errors are [ErrUnknownCipher], [ErrNotRegistered], [ErrNull], [ErrKeySize], or that of an invalid
// sector size. In Go's mode fips140=only also [ErrNotApproved].
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

// KeySizes returns the valid key sizes of a specification in bytes, in ascending order, or the error of
// [New] for it.
func KeySizes(spec string) ([]int, error) {
	d, err := resolve(spec)
	if err != nil {
		return nil, err
	}
	return d.keySizes(), nil
}

// CheckKeySize returns the error of [New] for a specification and a key of size bytes. It needs no key.
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
