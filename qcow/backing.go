package qcow

import (
	"fmt"

	"github.com/luksimg/luksimg/image"
)

// resolve opens the other files that the image needs.
func (d *Disk) resolve() error {
	if err := d.opts.chain.Check("qcow2", d.opts.ID, d.h.backingOffset, "backing file"); err != nil {
		return err
	}
	if d.h.dataFile() {
		ref := image.Ref{What: "external data file", Format: "raw"}
		if d.h.dataFileName != "" {
			ref.Names = []string{d.h.dataFileName}
		}
		src, err := d.ask(ref)
		if err != nil {
			return err
		}
		d.data.R, d.dataEnd = src, src.Size()
	}
	if d.h.backingName != "" {
		src, err := d.ask(image.Ref{What: "backing file", Names: []string{d.h.backingName}, Format: d.h.backingFormat,
			Options: Options{Resolve: d.opts.Resolve, KeyLimits: d.opts.KeyLimits, chain: d.opts.chain.Next(d.opts.ID)}})
		if err != nil {
			return err
		}
		d.disk.Parent, d.disk.ParentName = src, fmt.Sprintf("backing file %q", d.h.backingName)
	}
	return nil
}

func (d *Disk) ask(ref image.Ref) (image.Source, error) {
	return d.opts.chain.Ask("qcow2", d.opts.ID, d.opts.Resolve, ref)
}
