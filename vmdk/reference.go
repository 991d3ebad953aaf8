package vmdk

import (
	"errors"
	"fmt"

	"github.com/luksimg/luksimg/image"
	"github.com/luksimg/luksimg/internal/chain"
)

// A Ref names another file that an image is incomplete without. The names in it were
// chosen by whoever made the image, and may name any file: see that the file is one
// that the user of the image may read, before opening it.
type Ref struct {
	// Parent tells the parent of a delta disk, which is a disk image, from an extent,
	// of which the bytes of the file itself are asked for.
	Parent bool

	// Name is as the image has it: a path that is absolute or relative to the image. It
	// is in UTF-8 if the descriptor says which encoding it has, or is in UTF-8 itself;
	// of one that says neither it has the bytes. It is empty if a delta disk does not
	// name its parent.
	Name string

	// Type of an extent is as the image has it: "FLAT", "SPARSE" or "VMFS".
	Type string

	// Depth is 1 for what the first image of a chain names, 2 for what that names.
	Depth int

	options Options
}

// Options returns the options to open a parent with if it is a VMDK. They carry on
// Resolve, count the length of the chain, and find loops. ID is for the caller to
// set.
func (r Ref) Options() Options { return r.options }

// A RefusedError is about an image that needs another file, when there was no
// resolver to ask for it. Nothing was opened.
type RefusedError struct{ Ref Ref }

func (e *RefusedError) Error() string {
	what := "extent"
	if e.Ref.Parent {
		what = "parent"
	}
	return fmt.Sprintf("vmdk: the image needs its %s %s, and no other files are opened", what, quote(e.Ref.Name))
}

func (d *Disk) ask(ref Ref) (image.Source, error) {
	ref.options = Options{Resolve: d.opts.Resolve, chain: d.opts.chain.Next(d.opts.ID)}
	ref.Depth = ref.options.chain.Depth()
	if d.opts.Resolve == nil {
		return nil, &RefusedError{ref}
	}
	src, err := d.opts.Resolve(ref)
	if err == nil && src == nil {
		err = errors.New("vmdk: the resolver gave neither a file nor an error")
	}
	return src, err
}

// openParent gets the parent of a delta disk (section "The Descriptor File",
// parentCID). If that is a VMDK too, its CID must be the one that this image was made
// on: it changes with the first write to a disk.
func (d *Disk) openParent() error {
	if d.desc.parentCID == noParent || d.opts.MetadataOnly {
		return nil
	}
	if d.opts.chain.Loops(d.opts.ID) {
		return fieldError(0, "descriptor parentFileNameHint", quote(d.opts.ID), "a disk that is not in the chain already: it is a loop")
	}
	if d.opts.chain.TooLong() {
		return unsupported("a chain of more than %d parents", chain.Max)
	}
	if err := d.desc.charset.check(d.desc.parentHintAt, d.desc.parentHint); err != nil {
		return err
	}
	src, err := d.ask(Ref{Parent: true, Name: d.desc.parentHint})
	if err != nil {
		return err
	}
	if p, ok := src.(*Disk); ok && p.desc.hasCID && p.desc.cid != d.desc.parentCID {
		return fieldError(0, "descriptor parentCID", hexCID(d.desc.parentCID), "%s, the CID of the parent %s: it was changed since, or is another disk",
			hexCID(p.desc.cid), quote(d.desc.parentHint))
	}
	d.disk.Parent, d.disk.ParentName = src, "parent "+quote(d.desc.parentHint)
	return nil
}

// hexCID writes a content ID as descriptors do.
func hexCID(v uint32) string { return fmt.Sprintf("%08x", v) }
