package luksimg

import (
	"context"

	"github.com/luksimg/luksimg/image"
	"github.com/luksimg/luksimg/internal/engine"
)

// Sizes are the lengths of the parts of an encrypted image, in bytes.
type Sizes struct {
	Source int64 // the disk that is encrypted
	Volume int64 // the plaintext in the image: the disk and any zeros that a profile or the sector size adds
	File   int64 // the image
	Header int64 // the detached header, 0 if there is none
}

// Measure returns the exact sizes of what [Encrypt] would make of src, or the error that it would
// return. It derives no key. For LUKS it does not read src; see [Image.CheckEnd]. For a VHD or qcow2
// image it must read the whole disk to find the zeros.
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
