package vhdx

import (
	"errors"
	"fmt"
	"slices"

	"github.com/luksimg/luksimg/image"
)

// ErrLinkage means that the parent of a differencing disk is a different image, or was changed
// after the disk was made. Reads would return wrong data. Match it with [errors.Is].
var ErrLinkage = errors.New("the parent is a different image, or was changed after the differencing disk was made")

// checkLinkage checks that this image is the parent that the image in front of it was made for.
func (d *Disk) checkLinkage(want []guid) error {
	if len(want) > 0 && !slices.Contains(want, d.h.dataWrite) {
		return fmt.Errorf("vhdx: %w: its DataWriteGuid at offset %d is %s, want %s", ErrLinkage, d.h.off+offDataWrite, d.h.dataWrite, want[0])
	}
	return nil
}

// resolve opens the parent, if the image has one.
func (d *Disk) resolve() error {
	l := d.m.locator
	at := int64(0)
	if l != nil {
		at = l.off
	}
	if err := d.opts.chain.Check("vhdx", d.opts.ID, at, "ParentLocator"); err != nil || l == nil {
		return err
	}
	src, err := d.opts.chain.Ask("vhdx", d.opts.ID, d.opts.Resolve, image.Ref{What: "parent disk", Names: l.names(), Format: "vhdx",
		Options: Options{Resolve: d.opts.Resolve, chain: d.opts.chain.Next(d.opts.ID), linkage: l.linkage}})
	if err != nil {
		return err
	}
	if p, ok := src.(*Disk); ok {
		if err := p.checkLinkage(l.linkage); err != nil {
			return err
		}
		// Section 2.6.2.4.
		if p.m.logicalSector != d.m.logicalSector {
			return fieldError(d.m.logicalSectorAt, "LogicalSectorSize", d.m.logicalSector, "%d, as in the parent", p.m.logicalSector)
		}
	}
	d.disk.Parent, d.disk.ParentName = src, fmt.Sprintf("parent disk %q", l.names()[0])
	return nil
}
