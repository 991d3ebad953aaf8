// Package image defines the interface between readers of disk images and their callers. A [Source]
// holds the bytes that a guest sees. [Extents] maps where those bytes hold data and where they are
// known to be zero.
//
// Use [NewFile] for a raw image file. Each other format has its own package, whose reader
// implements Source. This package never opens a file by name and never writes.
package image

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
)

// A Source is a disk image as its guest sees it: Size bytes, readable at any offset and length.
// ReadAt must be safe for concurrent use, as [io.ReaderAt] demands, and returns io.EOF at Size.
//
// A Source that knows where its data lies also implements [Extenter].
type Source interface {
	io.ReaderAt
	// Size is the virtual size in bytes. It does not change.
	Size() int64
}

// An Extenter is a [Source] that can tell data from zeros without reading them.
type Extenter interface {
	// Extents yields the extents of the n bytes at off, as [Extents] does. The
	// caller guarantees that the range lies inside the source.
	Extents(off, n int64) iter.Seq2[Extent, error]
}

// A Grouper is a [Source] with groups of bytes that one reader should read from start to end, such
// as bytes that were compressed together.
type Grouper interface {
	// Group returns the start and end of the group that contains the byte at off. The caller
	// guarantees that off lies inside the source.
	Group(off int64) (start, end int64)
}

// Group returns the start and end of the group that contains the byte at off. ok is false if src is
// not a [Grouper] or off lies outside src.
func Group(src Source, off int64) (start, end int64, ok bool) {
	g, ok := src.(Grouper)
	if !ok || off < 0 || off >= src.Size() {
		return 0, 0, false
	}
	start, end = g.Group(off)
	return start, end, end > start
}

// Kind says whether the bytes of an [Extent] are data, zeros or a hole.
type Kind uint8

const (
	// Data can hold any bytes: only reading reveals them.
	Data Kind = iota
	// Zero reads as zeros and is allocated in the image.
	Zero
	// Hole reads as zeros and takes no space in the image.
	Hole
)

// String returns "data", "zero" or "hole".
func (k Kind) String() string {
	switch k {
	case Data:
		return "data"
	case Zero:
		return "zero"
	case Hole:
		return "hole"
	}
	return fmt.Sprintf("Kind(%d)", uint8(k))
}

// An Extent is a run of bytes of one [Kind].
type Extent struct {
	Offset int64 // bytes from the start of the source
	Length int64 // bytes, more than zero
	Kind   Kind
}

// End returns the offset of the first byte past the extent.
func (e Extent) End() int64 { return e.Offset + e.Length }

// Extents yields the extents of the n bytes of src at off, in order and without gaps. It merges
// neighbours of one kind and clips the range to the source. If src is not an [Extenter], it yields
// a single extent of Data. The sequence ends after an error.
func Extents(src Source, off, n int64) iter.Seq2[Extent, error] {
	size := src.Size()
	if off < 0 {
		off, n = 0, n+off
	}
	n = min(n, size-off)
	if n <= 0 {
		return func(func(Extent, error) bool) {}
	}
	e, ok := src.(Extenter)
	if !ok {
		return func(yield func(Extent, error) bool) { yield(Extent{off, n, Data}, nil) }
	}
	return Merge(e.Extents(off, n))
}

// ExtentsContext is [Extents] with cancellation: when ctx is done, the sequence ends with its cause
// as the error. It checks ctx before each extent that the source yields, even one that it merges. A
// source with large tables can yield many extents that merge into one.
func ExtentsContext(ctx context.Context, src Source, off, n int64) iter.Seq2[Extent, error] {
	e, ok := src.(Extenter)
	if !ok {
		return Extents(src, off, n)
	}
	return Extents(cancellable{src, e, ctx}, off, n)
}

// A cancellable is a source that stops yielding extents when ctx is done.
type cancellable struct {
	Source
	extenter Extenter
	ctx      context.Context
}

func (c cancellable) Extents(off, n int64) iter.Seq2[Extent, error] {
	return func(yield func(Extent, error) bool) {
		if err := context.Cause(c.ctx); err != nil {
			yield(Extent{}, err)
			return
		}
		for e, err := range c.extenter.Extents(off, n) {
			if err == nil {
				err = context.Cause(c.ctx)
			}
			if !yield(e, err) || err != nil {
				return
			}
		}
	}
}

// Merge joins neighbouring extents of one kind. Implementations of [Extenter]
// need not call it: [Extents] does.
func Merge(seq iter.Seq2[Extent, error]) iter.Seq2[Extent, error] {
	return func(yield func(Extent, error) bool) {
		var run Extent
		for e, err := range seq {
			if err != nil {
				if run.Length > 0 && !yield(run, nil) {
					return
				}
				yield(Extent{}, err)
				return
			}
			if run.Length > 0 && run.Kind == e.Kind && run.End() == e.Offset {
				run.Length += e.Length
				continue
			}
			if run.Length > 0 && !yield(run, nil) {
				return
			}
			run = e
		}
		if run.Length > 0 {
			yield(run, nil)
		}
	}
}

var (
	// ErrFormat means that the file breaks the rules of its format, so that reading on could return
	// wrong data. Every [FormatError] matches it.
	ErrFormat = errors.New("malformed image")

	// ErrUnsupported means that the image is valid but uses a feature that this module cannot read.
	ErrUnsupported = errors.New("unsupported image feature")

	// ErrLocked means that the disk is encrypted and its data cannot be read before the key is set.
	ErrLocked = errors.New("the image is encrypted and locked")

	// ErrTooLarge means that the disk does not fit into the new image, or that the image file would
	// exceed the format's limit.
	ErrTooLarge = errors.New("the disk is too large for the image format")

	// ErrChanged means that the file was modified after it was opened.
	ErrChanged = errors.New("the file changed while it was read")
)

// A FormatError reports an invalid field of an image file. It matches [ErrFormat].
type FormatError struct {
	Format string // "vhd", "qcow2"
	Offset int64  // of the field, in bytes from the start of the file
	Field  string // the field's name in the format's specification
	Value  any    // the invalid value
	Want   string // the valid values, as the end of a sentence: "at most 16"
}

func (e *FormatError) Error() string {
	return fmt.Sprintf("%s: %s at offset %d is %v, want %s", e.Format, e.Field, e.Offset, e.Value, e.Want)
}

// Is reports whether target is [ErrFormat].
func (e *FormatError) Is(target error) bool { return target == ErrFormat }
