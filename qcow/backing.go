package qcow

import (
	"errors"
	"fmt"

	"github.com/luksimg/luksimg/image"
	"github.com/luksimg/luksimg/internal/chain"
)

// A Ref names another file that an image is incomplete without. All in it but Depth
// was chosen by whoever made the image, and may name any file: see that the file is
// one that the user of the image may read, before opening it.
type Ref struct {
	// DataFile tells an external data file, which is raw, from a backing file.
	DataFile bool

	// Name is as the image has it: a path that is absolute or relative to the
	// image, or something that only QEMU understands, such as "json:{...}". It is
	// empty if an image with an external data file does not say which.
	Name string

	// Format is that of the file, "raw" or "qcow2" for example. It is empty if the
	// image does not say it; a raw disk should not be taken for something else
	// then, only because its guest wrote a header of that.
	Format string

	// Depth is 1 for what the first image of a chain names, 2 for what that names.
	Depth int

	options Options
}

// Options returns the options to open the file with if it is a qcow2 image. They
// carry on Resolve and KeyLimits, count the length of the chain, and find loops.
// ID and Key are for the caller to set.
func (r Ref) Options() Options { return r.options }

// A RefusedError is about an image that needs another file, when there was no
// resolver to ask for it. Nothing was opened.
type RefusedError struct{ Ref Ref }

func (e *RefusedError) Error() string {
	what := "backing file"
	if e.Ref.DataFile {
		what = "external data file"
	}
	return fmt.Sprintf("qcow2: the image needs its %s %q, and no other files are opened", what, e.Ref.Name)
}

// resolve gets the files that the image needs.
func (d *Disk) resolve() error {
	if d.opts.chain.Loops(d.opts.ID) {
		return fieldError(d.h.backingOffset, "backing file", fmt.Sprintf("%q", d.opts.ID), "an image that is not in the chain already: it is a loop")
	}
	if d.opts.chain.TooLong() {
		return unsupported("a chain of more than %d backing files", chain.Max)
	}
	if d.h.dataFile() {
		src, err := d.ask(Ref{DataFile: true, Name: d.h.dataFileName, Format: "raw"})
		if err != nil {
			return err
		}
		d.data.R, d.dataEnd = src, src.Size()
	}
	if d.h.backingName != "" {
		src, err := d.ask(Ref{Name: d.h.backingName, Format: d.h.backingFormat})
		if err != nil {
			return err
		}
		d.disk.Parent, d.disk.ParentName = src, fmt.Sprintf("backing file %q", d.h.backingName)
	}
	return nil
}

func (d *Disk) ask(ref Ref) (image.Source, error) {
	ref.options = Options{
		Resolve:   d.opts.Resolve,
		KeyLimits: d.opts.KeyLimits,
		chain:     d.opts.chain.Next(d.opts.ID),
	}
	ref.Depth = ref.options.chain.Depth()
	if d.opts.Resolve == nil {
		return nil, &RefusedError{ref}
	}
	src, err := d.opts.Resolve(ref)
	if err == nil && src == nil {
		err = errors.New("qcow2: the resolver gave neither a file nor an error")
	}
	return src, err
}
