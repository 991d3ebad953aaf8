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

// A File is a raw disk image in an open file or on a block device: the file's bytes are the disk's
// bytes. Where the operating system reports holes, they are [Extent]s of kind [Hole]. A File is
// safe for concurrent use.
type File struct {
	f    *os.File
	size int64
	time time.Time // when it was last changed, zero for a device
}

// NewFile returns the raw image in f, which must be a regular file or a block device. Any other
// kind of file is an error that matches [errors.ErrUnsupported]. The File only reads at offsets and
// does not close f. Its size is fixed here: if f shrinks later, reads of the missing part return
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
		// Seeking to the end returns the size of a block device.
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

// ModTime returns the file's modification time at the call of [NewFile]. It is zero for a device,
// which has no meaningful one.
func (f *File) ModTime() time.Time { return f.time }

// Unchanged returns [ErrChanged] if the file's size or modification time differs from those at the
// call of [NewFile]. For a device it always returns nil.
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
		return 0, fmt.Errorf("%s: negative read offset", f.f.Name())
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
		return n, fmt.Errorf("%s: file shrank while it was read: %w", f.f.Name(), io.ErrUnexpectedEOF)
	case n == len(want) && len(want) < len(p):
		return n, io.EOF
	case n == len(want):
		return n, nil
	}
	return n, err
}

// Extents implements [Extenter], clipped to the file. On systems and filesystems that do not report
// holes, the whole range is one extent of [Data].
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
