package vhdx

import (
	"errors"
	"fmt"
	"slices"

	"github.com/luksimg/luksimg/image"
)

// ErrLinkage means that the parent of a differencing disk is not the one, or no longer as,
// that the disk was made for. What would be read is not what was written. Match with
// [errors.Is].
var ErrLinkage = errors.New("the parent is another one, or was changed since the differencing disk was made")

// checkLinkage checks that this image is the parent that the one in front was made
// for.
func (d *Disk) checkLinkage(want []guid) error {
	if len(want) > 0 && !slices.Contains(want, d.h.dataWrite) {
		return fmt.Errorf("vhdx: %w: its DataWriteGuid at offset %d is %s, want %s", ErrLinkage, d.h.off+offDataWrite, d.h.dataWrite, want[0])
	}
	return nil
}

// resolve gets the parent, if the image has one.
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
			return fieldError(d.m.logicalSectorAt, "LogicalSectorSize", d.m.logicalSector, "%d, which its parent has", p.m.logicalSector)
		}
	}
	d.disk.Parent, d.disk.ParentName = src, fmt.Sprintf("parent disk %q", l.names()[0])
	return nil
}
