package luksimg

import (
	"context"
	"fmt"
	"iter"
	"maps"
	"math/bits"
	"slices"
	"sync"

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
	if err := o.CheckSize(size); err != nil {
		return s, err
	}
	if unit := o.unit(); unit > 0 {
		used, err := scan(ctx, src, unit, o.RunOptions)
		if err != nil {
			return s, err
		}
		s.File, err = o.fileSize(size, used, lo)
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

// CheckSize reports whether [Encrypt] would refuse a disk of size bytes, whatever is in it,
// because the profile or the format has no room for it.
func (o EncryptOptions) CheckSize(size int64) error {
	lo, err := o.apply()
	if err != nil {
		return err
	}
	if err := o.Profile.CheckSize(size); err != nil {
		return err
	}
	if o.unit() > 0 {
		_, err := o.fileSize(size, &units{}, lo)
		return err
	}
	l, err := lo.Layout()
	if err != nil {
		return err
	}
	_, err = o.Profile.sizes(size, l)
	return err
}

// unit returns what a VHD or qcow2 image allocates at a time in bytes, 0 for LUKS, which
// has room for all.
func (o EncryptOptions) unit() int64 {
	switch format, _ := o.container(); format {
	case VHD:
		return 2 << 20
	case QCOW2:
		return 64 << 10
	}
	return 0
}

// fileSize returns how long a VHD or qcow2 image of a disk of size bytes is, of which these
// units are in use.
func (o EncryptOptions) fileSize(size int64, used *units, lo luks.Options) (int64, error) {
	if format, _ := o.container(); format == VHD {
		return vhd.MeasureCreate(size, used.count(), vhd.CreateOptions{Key: []byte("any key of thirty-two bytes will")})
	}
	return qcow.CreateSize(size, used.all(), qcow.CreateOptions{Passphrase: []byte("x"), LUKS: lo})
}

// units are the parts of a disk that are not all zeros. They take memory by how many these
// are, not by the size of the disk. The zero value has none.
type units struct {
	mu    sync.Mutex
	pages map[int64]*unitPage // by the number of the first unit / pageUnits
}

// A unitPage has a bit for each of so many units.
type unitPage [pageUnits / 64]uint64

const pageUnits = 4096

func (u *units) set(i int64) {
	u.mu.Lock()
	defer u.mu.Unlock()
	p := u.pages[i/pageUnits]
	if p == nil {
		if u.pages == nil {
			u.pages = map[int64]*unitPage{}
		}
		p = new(unitPage)
		u.pages[i/pageUnits] = p
	}
	p[i%pageUnits/64] |= 1 << (i % 64)
}

func (u *units) count() int64 {
	n := 0
	for _, p := range u.pages {
		for _, w := range p {
			n += bits.OnesCount64(w)
		}
	}
	return int64(n)
}

// all yields the numbers of those that are set, in ascending order.
func (u *units) all() iter.Seq[int64] {
	return func(yield func(int64) bool) {
		for _, k := range slices.Sorted(maps.Keys(u.pages)) {
			for i, w := range u.pages[k] {
				for ; w != 0; w &= w - 1 {
					if !yield(k*pageUnits + int64(64*i+bits.TrailingZeros64(w))) {
						return
					}
				}
			}
		}
	}
}

// scan reads all data of a disk and returns which of its units, of a power of two of bytes,
// are not all zeros.
func scan(ctx context.Context, src image.Source, unit int64, o RunOptions) (*units, error) {
	used := &units{}
	err := eachPiece(ctx, o.jobs(), pieceSize, pieces(ctx, src, 0, src.Size()), func(buf []byte, p piece) error {
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
