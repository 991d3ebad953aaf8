package archive

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"github.com/luksimg/luksimg/image"
)

// ErrSum matches every [SumError].
var ErrSum = errors.New("the digest is wrong")

// A SumError means that a file does not have the digest that the archive gives for it: it was damaged
// or changed. It matches [ErrSum].
type SumError struct {
	Name string
	Want string // such as "sha256:..."
	Got  string
}

func (e *SumError) Error() string {
	return fmt.Sprintf("%q is damaged or was changed: %v: %s, want %s", e.Name, ErrSum, e.Got, e.Want)
}

// Is reports whether target is [ErrSum].
func (e *SumError) Is(target error) bool { return target == ErrSum }

// A File is an open disk in an archive. It is an image.Source of the bytes of the member and is safe
// for concurrent use.
type File struct {
	image.Source
	check func(ctx context.Context) error
}

// Open opens the file of the disk. The file is an image of any format and can be compressed.
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

// Group implements [image.Grouper] as far as the archive supports it.
func (f *File) Group(off int64) (start, end int64) {
	start, end, _ = image.Group(f.Source, off)
	return start, end
}

// Check verifies the digest of the file, if the archive has one. In a container image it verifies the
// layer of the file and all layers above it. Call it after all of the file has been read: the file is
// hashed while it is read, and Check reads the rest. If a digest is wrong, the error is a [SumError];
// then do not use output that was made from the file.
func (f *File) Check(ctx context.Context) error { return f.check(ctx) }
