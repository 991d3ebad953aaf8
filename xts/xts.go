// Package xts encrypts and decrypts runs of disk sectors with AES in XTS mode (IEEE Std 1619-2018, NIST
// SP 800-38E). The tweak is the little-endian sector number, as in aes-xts-plain64 of dm-crypt, the
// default of LUKS volumes.
//
// Make a [Cipher] with [New] and pass it many sectors per call, which is faster than one at a time.
// [Cipher.EncryptUnit] accepts any other tweak.
//
// XTS keeps data secret but does not detect changes. The same data written to the same sector twice
// give the same ciphertext, so use it only for disks and disk images.
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

// Options set the size and the numbering of sectors. The zero value is aes-xts-plain64 with sectors of
// 512 bytes.
type Options struct {
	// SectorSize is the size of a sector in bytes: 512, 1024, 2048 or 4096.
	// Zero means 512.
	SectorSize int

	// LargeIV makes the tweak count sectors of SectorSize, as dm-crypt does with iv_large_sectors. By
	// default it counts units of 512 bytes: sector n of 4096 bytes has the tweak 8n.
	LargeIV bool

	// Plain32 truncates the tweak to 32 bits, as "plain" of dm-crypt does. The tweak then repeats after
	// 2^32 units, which is 2 TiB for units of 512 bytes. By default the tweak has 64 bits (plain64).
	Plain32 bool

	// Implementation is one of [Implementations], for tests and benchmarks. "" means the fastest.
	Implementation string
}

// A Cipher encrypts and decrypts sectors with one key. Except for [Cipher.Close], its methods are safe
// for concurrent use. They do not allocate.
type Cipher struct {
	kernel     kernel // nil after Close
	sectorSize int
	tweakStep  uint64 // tweaks per sector: 1, or SectorSize/512 if tweaks count units of 512 bytes
	tweakMask  uint64 // bits of a tweak that are used
}

// New returns a Cipher for a key of 32 bytes (AES-128) or 64 bytes (AES-256): the data key followed by
// the tweak key of equal length. The key is not retained; the caller can wipe it.
//
// A key with two equal halves weakens XTS, and FIPS 140 forbids generating one. New accepts it, as
// dm-crypt does, so that a volume with such a key stays readable. Code that generates keys should
// refuse it.
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

// Implementations returns the names of the implementations that this CPU supports, fastest first. [New]
// uses the first by default. The last is "generic", in pure Go, which every CPU supports.
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

// Encrypt encrypts the whole sectors in src into dst. The first has the given sector number, counted in
// sectors of [Cipher.SectorSize] bytes; numbers ascend. Tweaks wrap modulo 2^64, or modulo 2^32 with
// Plain32.
//
// Encrypt panics if len(src) is not a multiple of the sector size, or if dst is shorter than src. It
// also panics if the two overlap but do not start at the same byte. Bytes of dst beyond len(src) are
// unchanged.
//
// On CPUs with VAES, a call with at least 64 MiB can bypass the caches, which could not hold so much.
// It does so only if dst is not src and is aligned to 32 bytes, or to 64 bytes with AVX-512.
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

// EncryptUnit encrypts src into dst as one data unit with the given tweak, the 16 bytes that the tweak
// key encrypts. Use it for tweaks that are not plain sector numbers, such as ESSIV, and for data units
// that are not sectors. It ignores SectorSize and the other options.
//
// EncryptUnit panics if len(src) is not a multiple of 16, or exceeds 16 MiB, the limit of NIST SP
// 800-38E. It also panics for the same buffer misuse as [Cipher.Encrypt]. [Cipher.EncryptStealing] accepts other
// lengths.
//
// Most callers need [Cipher.Encrypt] instead.
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

// Close wipes the expanded keys of this package and drops those of crypto/aes, which Go cannot wipe. It
// must not run concurrently with another method. Encrypting or decrypting afterwards panics. Closing
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

// tweakFrom accepts the two halves by value. So the caller's array stays on its stack, although kernels
// are called through an interface.
func tweakFrom(t *[16]byte) tweak {
	return tweak{
		lo:   binary.LittleEndian.Uint64(t[:8]),
		hi:   binary.LittleEndian.Uint64(t[8:]),
		mask: 1<<64 - 1,
	}
}
