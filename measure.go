package luksimg

import (
	"context"
	"fmt"

	"github.com/luksimg/luksimg/image"
	"github.com/luksimg/luksimg/internal/engine"
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
		used, err := engine.Scan{Source: src, Unit: unit, Workers: o.workers()}.Run(ctx)
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
		_, err := o.fileSize(size, &engine.Units{}, lo)
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
func (o EncryptOptions) fileSize(size int64, used *engine.Units, lo luks.Options) (int64, error) {
	if format, _ := o.container(); format == VHD {
		return vhd.MeasureCreate(size, used.Len(), vhd.CreateOptions{Key: []byte("any key of thirty-two bytes will")})
	}
	return qcow.CreateSize(size, used.All(), qcow.CreateOptions{Passphrase: []byte("x"), LUKS: lo})
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
