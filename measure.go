package luksimg

import (
	"context"
	"fmt"
	"iter"
	"math/bits"
	"sync/atomic"

	"github.com/luksimg/luksimg/image"
	"github.com/luksimg/luksimg/luks"
	"github.com/luksimg/luksimg/qcow"
	"github.com/luksimg/luksimg/vhd"
)

// Sizes are how long things are in an encrypted image, in bytes.
type Sizes struct {
	Source int64 // the disk that is encrypted
	Volume int64 // the plaintext in the image: the disk, and zeros where a profile or the sector size ask for more
	File   int64 // the image
	Header int64 // the detached header, 0 if there is none
}

// Measure returns the exact sizes of what [Encrypt] would make of src, or what it would
// refuse. It derives no key. For LUKS it reads nothing; what takes room in a VHD or qcow2
// image is known only when all of the disk was read.
func Measure(ctx context.Context, src image.Source, o EncryptOptions) (Sizes, error) {
	lo, err := o.apply()
	if err != nil {
		return Sizes{}, err
	}
	size := src.Size()
	s := Sizes{Source: size, Volume: roundUp(size, 512)}
	if err := o.Profile.CheckSize(size); err != nil {
		return s, err
	}
	switch format, _ := o.container(); format {
	case VHD:
		used, err := scan(ctx, src, vhdBlock, o.RunOptions)
		if err != nil {
			return s, err
		}
		s.File, err = vhd.MeasureCreate(size, used.count(), vhd.CreateOptions{Key: []byte("any key of thirty-two bytes will")})
		return s, err
	case QCOW2:
		used, err := scan(ctx, src, qcowCluster, o.RunOptions)
		if err != nil {
			return s, err
		}
		s.File, err = qcow.CreateSize(size, used.all(), qcow.CreateOptions{Passphrase: []byte("x"), LUKS: lo})
		return s, err
	}
	l, err := lo.Layout()
	if err != nil {
		return Sizes{}, err
	}
	s, err = o.Profile.sizes(size, l)
	if lo.Detached {
		s.Header = l.HeaderSize
	}
	return s, err
}

// The units of allocation of what is made here, in bytes.
const (
	vhdBlock    = 2 << 20
	qcowCluster = 64 << 10
)

// units are the parts of a disk that are not all zeros, a bit each.
type units []atomic.Uint64

func (u units) set(i int64) { u[i/64].Or(1 << (i % 64)) }

func (u units) count() int64 {
	n := 0
	for i := range u {
		n += bits.OnesCount64(u[i].Load())
	}
	return int64(n)
}

// all yields the numbers of those that are set.
func (u units) all() iter.Seq[int64] {
	return func(yield func(int64) bool) {
		for i := range u {
			for w := u[i].Load(); w != 0; w &= w - 1 {
				if !yield(int64(64*i + bits.TrailingZeros64(w))) {
					return
				}
			}
		}
	}
}

// scan reads all data of a disk and returns which of its units, of a power of two of bytes,
// are not all zeros.
func scan(ctx context.Context, src image.Source, unit int64, o RunOptions) (units, error) {
	used := make(units, (src.Size()+unit-1)/unit/64+1)
	err := eachPiece(ctx, o.jobs(), pieceSize, pieces(src, src.Size()), func(buf []byte, p piece) error {
		o.done(p.disk)
		if p.zero {
			return nil
		}
		b, err := readPiece(src, buf, p)
		if err != nil {
			return err
		}
		for off := p.offset; len(b) > 0; {
			n := min(int64(len(b)), unit)
			if !isZero(b[:n]) {
				used.set(off / unit)
			}
			b, off = b[n:], off+n
		}
		return nil
	})
	return used, err
}

// maxDisk bounds the size of a disk, far above any, so that no sum overflows.
const maxDisk = 1 << 62

// sizes returns the sizes for a disk of size bytes in an image of this layout.
func (p Profile) sizes(size int64, l luks.Layout) (Sizes, error) {
	if size < 0 || size > maxDisk {
		return Sizes{}, fmt.Errorf("a disk of %d bytes is too large", size)
	}
	s := Sizes{Source: size, File: l.DataOffset + roundUp(size, int64(l.SectorSize))}
	if p == ClassicLUKS {
		s.File = roundUp(size+classicOverhead, classicAlign)
	}
	s.Volume = s.File - l.DataOffset
	return s, nil
}
