package luksimg

import (
	"fmt"

	"github.com/luksimg/luksimg/luks"
)

// Sizes are how long things are in an encrypted image, in bytes.
type Sizes struct {
	Source int64 // the disk that is encrypted
	Volume int64 // the plaintext in the image: the disk, and zeros where a profile or the sector size ask for more
	File   int64 // the image
	Header int64 // the detached header, 0 if there is none
}

// Measure returns the exact sizes of what [Encrypt] would make of a disk of size bytes, or
// what it would refuse. It derives no key and reads nothing.
func Measure(size int64, o EncryptOptions) (Sizes, error) {
	lo, err := o.apply()
	if err != nil {
		return Sizes{}, err
	}
	l, err := lo.Layout()
	if err != nil {
		return Sizes{}, err
	}
	s, err := o.Profile.sizes(size, l)
	if lo.Detached {
		s.Header = l.HeaderSize
	}
	return s, err
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
