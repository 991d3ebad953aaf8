// Package xts encrypts and decrypts runs of disk sectors with AES in XTS mode
// (IEEE Std 1619-2018, NIST SP 800-38E), with the little-endian sector number as
// tweak: what dm-crypt calls aes-xts-plain64 and LUKS volumes use by default.
//
// Make a [Cipher] with [New] and give it many sectors a call, which is faster than
// one at a time. [Cipher.EncryptUnit] takes any other tweak.
//
// XTS keeps data secret. It does not notice when somebody changes it, and equal
// data written to the same sector twice gives equal ciphertext, so it is for
// disks and disk images only.
package xts

import (
	"encoding/binary"
	"fmt"
	"strings"
)

// blockSize is the AES block size in bytes.
const blockSize = 16

// maxUnitSize is the largest data unit that NIST SP 800-38E allows: 2^20 blocks.
const maxUnitSize = blockSize << 20

// Options says how sectors are cut and numbered. The zero value is
// aes-xts-plain64 over sectors of 512 bytes.
type Options struct {
	// SectorSize is the size of a sector in bytes: 512, 1024, 2048 or 4096.
	// Zero means 512.
	SectorSize int

	// LargeIV makes the tweak count sectors of SectorSize, as dm-crypt does with
	// iv_large_sectors. By default it counts units of 512 bytes whatever the
	// sector size, so that sector n of 4096 bytes has the tweak 8n.
	LargeIV bool

	// Plain32 cuts the tweak to 32 bits, which dm-crypt calls "plain": it repeats
	// after 2^32 tweaks, 2 TiB at 512 bytes each. By default the tweak has 64 bits
	// (plain64).
	Plain32 bool

	// Implementation is one of [Implementations], for tests and benchmarks. By
	// default it is the fastest.
	Implementation string
}

// A Cipher encrypts and decrypts sectors under one key. It is safe for concurrent
// use, [Cipher.Close] excepted, and its methods allocate nothing.
type Cipher struct {
	kernel     kernel // nil once closed
	sectorSize int
	tweakStep  uint64 // tweaks a sector: 1, or SectorSize/512 where tweaks count units of 512 bytes
	tweakMask  uint64 // bits of a tweak that are used
}

// New returns a Cipher for a key of 32 bytes (AES-128) or 64 bytes (AES-256): the
// data key, then the tweak key of equal length. The key is not retained; the
// caller may wipe it.
//
// A key whose two halves are equal weakens XTS, and FIPS 140 forbids making one.
// New accepts it, as dm-crypt does, because a volume that has such a key must
// stay readable. Code that makes keys should refuse it.
func New(key []byte, opts Options) (*Cipher, error) {
	if opts.Implementation == "" {
		return newCipher(implementations[0], key, opts)
	}
	for _, impl := range implementations {
		if impl.name == opts.Implementation {
			return newCipher(impl, key, opts)
		}
	}
	return nil, fmt.Errorf("xts: implementation %q is unknown or not for this CPU, which has %s",
		opts.Implementation, strings.Join(Implementations(), ", "))
}

// Implementations names the implementations that this CPU can run, the fastest
// first, which is what [New] takes unless told otherwise. The last is "generic", in
// Go alone, which every CPU runs.
func Implementations() []string {
	var names []string
	for _, impl := range implementations {
		names = append(names, impl.name)
	}
	return names
}

func newCipher(impl implementation, key []byte, opts Options) (*Cipher, error) {
	if len(key) != 32 && len(key) != 64 {
		return nil, fmt.Errorf("xts: key of %d bytes, want 32 or 64", len(key))
	}
	c := &Cipher{sectorSize: opts.SectorSize, tweakStep: 1, tweakMask: 1<<64 - 1}
	switch opts.SectorSize {
	case 0:
		c.sectorSize = 512
	case 512, 1024, 2048, 4096:
	default:
		return nil, fmt.Errorf("xts: sector size %d, want 512, 1024, 2048 or 4096", opts.SectorSize)
	}
	if !opts.LargeIV {
		c.tweakStep = uint64(c.sectorSize / 512)
	}
	if opts.Plain32 {
		c.tweakMask = 1<<32 - 1
	}
	var err error
	if c.kernel, err = impl.newKernel(key); err != nil {
		return nil, fmt.Errorf("xts: %w", err)
	}
	return c, nil
}

// Encrypt encrypts the whole sectors in src into dst. The first has the number
// sector, counted in sectors of [Cipher.SectorSize] bytes, and each further one
// the next number. Tweaks wrap: modulo 2^64, or modulo 2^32 with Plain32.
//
// Encrypt panics if len(src) is not a multiple of the sector size, if dst is
// shorter than src, or if the two overlap without being the same memory. Bytes
// of dst beyond len(src) are left alone.
//
// A call with 64 MiB or more, to a destination apart from the source that begins at a
// multiple of 32 bytes, writes past the caches on CPUs with VAES and without AVX-512: so
// much would not stay there.
func (c *Cipher) Encrypt(dst, src []byte, sector uint64) {
	k := c.mustBeOpen()
	dst = checkBuffers(dst, src, c.sectorSize)
	k.encrypt(dst, src, c.sectorSize, c.tweakOf(sector))
}

// Decrypt is the inverse of [Cipher.Encrypt], with the same rules.
func (c *Cipher) Decrypt(dst, src []byte, sector uint64) {
	k := c.mustBeOpen()
	dst = checkBuffers(dst, src, c.sectorSize)
	k.decrypt(dst, src, c.sectorSize, c.tweakOf(sector))
}

// EncryptUnit encrypts src into dst as one data unit with the given tweak, the 16
// bytes that the tweak key is going to encrypt: for tweaks that are not plain
// sector numbers, such as ESSIV, and data units that are not sectors. SectorSize
// and the other options do not matter here.
//
// EncryptUnit panics if len(src) is not a multiple of 16 or above 16 MiB, the
// limit of NIST SP 800-38E, and for the same buffer misuse as [Cipher.Encrypt].
// [Cipher.EncryptStealing] takes other lengths.
//
// Most callers want [Cipher.Encrypt].
func (c *Cipher) EncryptUnit(dst, src []byte, tweak *[16]byte) {
	k := c.mustBeOpen()
	dst = checkUnit(dst, src)
	k.encrypt(dst, src, len(src), tweakFrom(tweak))
}

// DecryptUnit is the inverse of [Cipher.EncryptUnit], with the same rules.
func (c *Cipher) DecryptUnit(dst, src []byte, tweak *[16]byte) {
	k := c.mustBeOpen()
	dst = checkUnit(dst, src)
	k.decrypt(dst, src, len(src), tweakFrom(tweak))
}

// SectorSize returns the size of a sector in bytes.
func (c *Cipher) SectorSize() int { return c.sectorSize }

// Close wipes the expanded keys where they are this package's own, and lets go of
// those that crypto/aes holds, which Go gives no way to wipe. It must not run
// beside another method. Encrypting or decrypting afterwards panics; closing
// again does nothing.
func (c *Cipher) Close() {
	if c.kernel != nil {
		c.kernel.wipe()
		c.kernel = nil
	}
}

func (c *Cipher) mustBeOpen() kernel {
	if c.kernel == nil {
		panic("xts: use of closed Cipher")
	}
	return c.kernel
}

func (c *Cipher) tweakOf(sector uint64) tweak {
	return tweak{
		lo:   sector * c.tweakStep & c.tweakMask,
		step: c.tweakStep,
		mask: c.tweakMask,
	}
}

// tweakFrom takes the two halves by value, so that the caller's array stays on its
// stack although kernels are called through an interface.
func tweakFrom(t *[16]byte) tweak {
	return tweak{
		lo:   binary.LittleEndian.Uint64(t[:8]),
		hi:   binary.LittleEndian.Uint64(t[8:]),
		mask: 1<<64 - 1,
	}
}
