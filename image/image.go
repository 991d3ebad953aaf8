// Package image is the contract between the readers of disk images and
// whatever consumes them: a [Source] of guest-visible bytes, and [Extents], the
// map of where those bytes hold data and where they are known to be zero.
//
// For a raw image file use [NewFile]. Other formats have packages of their own,
// whose readers satisfy Source by shape. This package never opens a file by name
// and never writes.
package image

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
)

// A Source is a disk image as its guest sees it: Size bytes, readable at any
// offset and length. ReadAt must be safe for concurrent use, as [io.ReaderAt]
// demands, and ends with io.EOF at Size.
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

// A Grouper is a [Source] of which some parts are best read by one reader, from start to end, such as
// those that were compressed together.
type Grouper interface {
	// Group returns where the part starts and ends that has the byte at off. The caller guarantees that
	// off lies inside the source.
	Group(off int64) (start, end int64)
}

// Group returns the part of a source that has the byte at off, if it is a [Grouper] and off lies inside
// it.
func Group(src Source, off int64) (start, end int64, ok bool) {
	g, ok := src.(Grouper)
	if !ok || off < 0 || off >= src.Size() {
		return 0, 0, false
	}
	start, end = g.Group(off)
	return start, end, end > start
}

// Kind tells what the bytes of an [Extent] are.
type Kind uint8

const (
	// Data must be read to be known.
	Data Kind = iota
	// Zero reads as zeros and is allocated in the image.
	Zero
	// Hole reads as zeros and takes no room in the image.
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

// Extents yields the extents of the n bytes of src at off: in order, without
// gaps, neighbours of one kind merged. The range is clipped to the source. A
// source that is no [Extenter] is a single extent of Data. After an error the
// sequence ends.
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

// ExtentsContext is [Extents] for a job that can be cancelled: when ctx is done, its cause is
// the error. ctx is looked at before each extent that the source yields, also one that is
// merged with those before it, as a source with large tables may yield many that are one.
func ExtentsContext(ctx context.Context, src Source, off, n int64) iter.Seq2[Extent, error] {
	e, ok := src.(Extenter)
	if !ok {
		return Extents(src, off, n)
	}
	return Extents(cancellable{src, e, ctx}, off, n)
}

// A cancellable is a source whose extents end when ctx is done.
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
	// ErrFormat is what every [FormatError] is: the file breaks the rules of its
	// format, and reading on could give wrong data.
	ErrFormat = errors.New("malformed image")

	// ErrUnsupported is a valid image with a feature that is not read here.
	ErrUnsupported = errors.New("unsupported image feature")

	// ErrLocked means that a disk is encrypted, and its data cannot be read before it gets its key.
	ErrLocked = errors.New("the image is encrypted and locked")

	// ErrTooLarge means that a new image has no room for the disk, or its file would be too large
	// for the format.
	ErrTooLarge = errors.New("the disk is too large for the image format")

	// ErrChanged means that somebody wrote to the file since it was opened.
	ErrChanged = errors.New("the file changed while it was read")
)

// A FormatError says which field of an image file is wrong, and how. It matches
// [ErrFormat].
type FormatError struct {
	Format string // "vhd", "qcow2"
	Offset int64  // where in the file the field is, in bytes
	Field  string // the field's name in the format's specification
	Value  any    // what it holds
	Want   string // what it should hold, as the end of a sentence: "at most 16"
}

func (e *FormatError) Error() string {
	return fmt.Sprintf("%s: %s at offset %d is %v, want %s", e.Format, e.Field, e.Offset, e.Value, e.Want)
}

// Is reports whether target is [ErrFormat].
func (e *FormatError) Is(target error) bool { return target == ErrFormat }
