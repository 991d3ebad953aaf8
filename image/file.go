package image

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"time"
)

// A File is a raw disk image in an open file or on a block device: the file's
// bytes are the disk's. Where the system can tell, its holes are [Extent]s of
// kind [Hole]. It is safe for concurrent use.
type File struct {
	f    *os.File
	size int64
	time time.Time // when it was last changed, zero for a device
}

// NewFile returns the raw image in f, which must be a regular file or a block
// device. It reads at offsets only, does not close f, and takes the size that f
// has now: if f becomes shorter, reading the missing part is
// [io.ErrUnexpectedEOF], never zeros.
func NewFile(f *os.File) (*File, error) {
	fi, err := f.Stat()
	if err != nil {
		return nil, err
	}
	switch mode := fi.Mode(); {
	case mode.IsRegular():
		return &File{f, fi.Size(), fi.ModTime()}, nil
	case mode&fs.ModeDevice != 0 && mode&fs.ModeCharDevice == 0:
		// The size of a block device is where its end is.
		size, err := f.Seek(0, io.SeekEnd)
		if err != nil {
			return nil, err
		}
		return &File{f: f, size: size}, nil
	default:
		return nil, fmt.Errorf("%s: neither a regular file nor a block device: %w", f.Name(), errors.ErrUnsupported)
	}
}

// Size returns the length of the file, or of the device, in bytes.
func (f *File) Size() int64 { return f.size }

// ModTime returns when the file was last changed before it was opened; zero for a device, of which
// that means nothing.
func (f *File) ModTime() time.Time { return f.time }

// Unchanged returns [ErrChanged] if the file is not what it was when it was opened, as far as the
// filesystem knows. Of a device that is not known.
func (f *File) Unchanged() error {
	if f.time.IsZero() {
		return nil
	}
	fi, err := f.f.Stat()
	if err == nil && (fi.Size() != f.size || !fi.ModTime().Equal(f.time)) {
		err = ErrChanged
	}
	return err
}

// ReadAt reads from the file; see [io.ReaderAt].
func (f *File) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 {
		return 0, fmt.Errorf("%s: read at a negative offset", f.f.Name())
	}
	if off >= f.size {
		if len(p) == 0 {
			return 0, nil
		}
		return 0, io.EOF
	}
	want := p
	if rest := f.size - off; int64(len(p)) > rest {
		want = p[:rest]
	}
	n, err := f.f.ReadAt(want, off)
	switch {
	case n < len(want) && err == io.EOF:
		return n, fmt.Errorf("%s: file became shorter while it was read: %w", f.f.Name(), io.ErrUnexpectedEOF)
	case n == len(want) && len(want) < len(p):
		return n, io.EOF
	case n == len(want):
		return n, nil
	}
	return n, err
}

// Extents implements [Extenter], clipped to the file. On systems, and filesystems, that do
// not tell where a file's holes are, all is one extent of [Data].
func (f *File) Extents(off, n int64) iter.Seq2[Extent, error] {
	off = min(max(off, 0), f.size)
	end := off + min(max(n, 0), f.size-off)
	return func(yield func(Extent, error) bool) {
		for off := off; off < end; {
			e, err := f.extentAt(off, end)
			if err != nil {
				yield(Extent{}, err)
				return
			}
			if !yield(e, nil) {
				return
			}
			off = e.End()
		}
	}
}
