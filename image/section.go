package image

import (
	"errors"
	"fmt"
	"io"
	"iter"
)

// A Section is a part of a [Source], such as a partition of a disk, that is a Source itself. It
// reports the extents of the underlying source and is safe for concurrent use.
type Section struct {
	src    Source
	off, n int64
}

// NewSection returns the n bytes of src at off, which must lie inside src.
func NewSection(src Source, off, n int64) (*Section, error) {
	if size := src.Size(); off < 0 || n < 0 || off > size || n > size-off {
		return nil, fmt.Errorf("%d bytes at %d are not inside a disk of %d bytes", n, off, size)
	}
	return &Section{src, off, n}, nil
}

// Size returns the length of the section in bytes.
func (s *Section) Size() int64 { return s.n }

// ReadAt reads from the section; see [io.ReaderAt].
func (s *Section) ReadAt(p []byte, off int64) (int, error) {
	switch {
	case off < 0:
		return 0, errors.New("negative read offset")
	case len(p) == 0:
		return 0, nil
	case off >= s.n:
		return 0, io.EOF
	}
	want := p[:min(int64(len(p)), s.n-off)]
	n, err := s.src.ReadAt(want, s.off+off)
	switch {
	case n < len(want) && err == io.EOF:
		return n, io.ErrUnexpectedEOF
	case n < len(want):
		return n, err
	case len(want) < len(p):
		return n, io.EOF
	}
	return n, nil
}

// Extents implements [Extenter], clipped to the section.
func (s *Section) Extents(off, n int64) iter.Seq2[Extent, error] {
	off = min(max(off, 0), s.n)
	n = min(max(n, 0), s.n-off)
	return func(yield func(Extent, error) bool) {
		for e, err := range Extents(s.src, s.off+off, n) {
			if err == nil {
				e.Offset -= s.off
			}
			if !yield(e, err) {
				return
			}
		}
	}
}

// Group implements [Grouper], clipped to the section.
func (s *Section) Group(off int64) (start, end int64) {
	start, end, ok := Group(s.src, s.off+off)
	if !ok {
		return 0, 0
	}
	return max(0, start-s.off), min(s.n, end-s.off)
}

// A WritableFile is a file that a [WritableSection] reads and writes. An [os.File] is one.
type WritableFile interface {
	io.ReaderAt
	io.WriterAt
	Sync() error
}

// A WritableSection is a part of a file that can be read and written in place. It never writes
// outside that part.
type WritableSection struct {
	*Section
	file WritableFile
}

// Writable returns a section that reads from s and writes to file. The bytes of file must be those
// of the source that s is a part of.
func (s *Section) Writable(file WritableFile) *WritableSection { return &WritableSection{s, file} }

// WriteAt writes to the section; see [io.WriterAt]. If p does not fit, it writes nothing and
// returns [io.ErrShortWrite].
func (s *WritableSection) WriteAt(p []byte, off int64) (int, error) {
	if n := int64(len(p)); off < 0 || off > s.Size() || n > s.Size()-off {
		return 0, fmt.Errorf("%d bytes at %d are not inside a part of %d bytes: %w", n, off, s.Size(), io.ErrShortWrite)
	}
	return s.file.WriteAt(p, s.off+off)
}

// Sync commits the written data to stable storage.
func (s *WritableSection) Sync() error { return s.file.Sync() }
