package vhdx

import (
	"errors"
	"fmt"
	"slices"

	"github.com/luksimg/luksimg/internal/chain"
)

// ErrLinkage means that the parent of a differencing disk is not the one, or no longer as,
// that the disk was made for. What would be read is not what was written. Match with
// [errors.Is].
var ErrLinkage = errors.New("the parent is another one, or was changed since the differencing disk was made")

// A Ref names the parent of a differencing disk, which is incomplete without. All in
// it but Depth was chosen by whoever made the image, and may name any file: see that
// the file is one that the user of the image may read, before opening it. Paths are
// those of Windows, with "\" between their parts.
type Ref struct {
	// Name is the first of the three paths that is not empty, in the order in
	// which they should be tried: RelativePath, VolumePath, AbsolutePath.
	Name string

	RelativePath string // relative to the folder of the image: relative_path
	VolumePath   string // with the GUID of a volume: volume_path
	AbsolutePath string // with a drive or a share: absolute_win32_path

	// Linkage is the identity that the parent has, if it is the right one: the
	// DataWriteGuid in its header, in lower case and without braces. Open with
	// [Ref.Options] checks it.
	Linkage string

	// Depth is 1 for the parent of the first image of a chain, 2 for the parent of
	// that.
	Depth int

	options Options
}

// Options returns the options to open the parent with if it is a VHDX image. They
// carry on Resolve, count the length of the chain, find loops, and see that it is the
// right parent. ID is for the caller to set.
func (r Ref) Options() Options { return r.options }

// A RefusedError is about an image that needs its parent, when there was no resolver
// to ask for it. Nothing was opened.
type RefusedError struct{ Ref Ref }

func (e *RefusedError) Error() string {
	return fmt.Sprintf("vhdx: the image needs its parent %q, and no other files are opened", e.Ref.Name)
}

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
	if d.opts.chain.TooLong() {
		return unsupported("a chain of more than %d parents", chain.Max)
	}
	l := d.m.locator
	if l == nil {
		return nil
	}
	if d.opts.chain.Loops(d.opts.ID) {
		return fieldError(l.off, "ParentLocator", fmt.Sprintf("%q", l.name()), "an image that is not in the chain already: %q is, so it is a loop", d.opts.ID)
	}
	ref := l.ref()
	ref.options = Options{Resolve: d.opts.Resolve, chain: d.opts.chain.Next(d.opts.ID), linkage: l.linkage}
	ref.Depth = ref.options.chain.Depth()
	if d.opts.Resolve == nil {
		return &RefusedError{ref}
	}
	src, err := d.opts.Resolve(ref)
	if err != nil {
		return err
	}
	if src == nil {
		return errors.New("vhdx: the resolver gave neither a file nor an error")
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
	d.disk.Parent, d.disk.ParentName = src, fmt.Sprintf("parent %q", l.name())
	return nil
}

// ref returns what the locator says.
func (l *locator) ref() Ref {
	return Ref{Name: l.name(), RelativePath: l.relative, VolumePath: l.volume, AbsolutePath: l.absolute, Linkage: l.linkage[0].String()}
}
