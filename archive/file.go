package archive

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"github.com/luksimg/luksimg/image"
)

// ErrSum is matched by every [SumError]; see [errors.Is].
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

// Check compares the digest of the file with the digest in the archive, if there is one. In a container
// image it compares the digests of the layer of the file and of all layers above it. Call it when all of
// the file has been read: the file is hashed as it is read, and Check reads the rest. If a digest is
// wrong, the error is a [SumError], and output made of the file must not be used.
func (f *File) Check(ctx context.Context) error { return f.check(ctx) }
