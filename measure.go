package luksimg

import (
	"context"

	"github.com/luksimg/luksimg/image"
	"github.com/luksimg/luksimg/internal/engine"
)

// Sizes are how long things are in an encrypted image, in bytes.
type Sizes struct {
	Source int64 // the disk that is encrypted
	Volume int64 // the plaintext in the image: the disk, and zeros where a profile or the sector size ask for more
	File   int64 // the image
	Header int64 // the detached header, 0 if there is none
}

// Measure returns the exact sizes of what [Encrypt] would make of src, or what it would
// refuse. It derives no key. For LUKS it reads nothing, see [Image.CheckEnd]; what takes room in a VHD or qcow2
// image is known only when all of the disk was read.
func Measure(ctx context.Context, src image.Source, o EncryptOptions) (Sizes, error) {
	p, err := o.plan()
	if err != nil {
		return Sizes{}, err
	}
	if err := p.checkSize(src.Size()); err != nil {
		return Sizes{}, err
	}
	var used *engine.Units
	if p.make.unit > 0 {
		used, err = engine.Scan{Source: src, Unit: p.make.unit, Workers: p.workers}.Run(ctx)
		if err != nil {
			return Sizes{}, err
		}
	}
	return p.make.sizes(p, src.Size(), used)
}
