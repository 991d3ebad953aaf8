package archive

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"github.com/luksimg/luksimg/image"
)

// ErrSum is what every [SumError] is.
var ErrSum = errors.New("the digest is wrong")

// A SumError says that a file in an archive has not the digest that the archive says: it was damaged
// or changed. It matches [ErrSum].
type SumError struct {
	Name string
	Want string // as in "sha256:..."
	Got  string
}

func (e *SumError) Error() string {
	return fmt.Sprintf("%q is damaged or was changed: %v: %s, want %s", e.Name, ErrSum, e.Got, e.Want)
}

// Is reports whether target is [ErrSum].
func (e *SumError) Is(target error) bool { return target == ErrSum }

// A File is a disk in an archive, open. It is an image.Source of the bytes of the member, safe for
// concurrent use.
type File struct {
	image.Source
	check func(ctx context.Context) error
}

// Open opens the file of the disk. Its bytes are those of an image of any format, which may be
// compressed.
func (d *Disk) Open() (*File, error) {
	src, check, err := d.open()
	if err != nil {
		return nil, err
	}
	return &File{src, check}, nil
}

// Extents implements [image.Extenter].
func (f *File) Extents(off, n int64) iter.Seq2[image.Extent, error] {
	return image.Extents(f.Source, off, n)
}

// Group implements [image.Grouper], as far as the archive tells.
func (f *File) Group(off int64) (start, end int64) {
	start, end, _ = image.Group(f.Source, off)
	return start, end
}

// Check compares the digest of the file, or of its layer and all layers above that, with that which the
// archive has of it, if it has one. It is hashed as it is read, so that Check reads only what nobody has read
// before. A wrong one is a [SumError]: what was made of the file is of no use then. It is called when
// all is read.
func (f *File) Check(ctx context.Context) error { return f.check(ctx) }
