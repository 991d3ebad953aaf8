package luksimg

import (
	"fmt"
	"io"
	"os"

	"github.com/luksimg/luksimg/image"
)

// newScratch creates the scratch file for size bytes, -1 if unknown.
func newScratch(size int64, o Unpacking) (ScratchFile, error) {
	if o.Scratch != nil {
		f, err := o.Scratch(size)
		if err != nil {
			err = fmt.Errorf("%w: %w", ErrScratch, err)
		}
		return f, err
	}
	if size > maxMemory {
		return nil, fmt.Errorf("%w: it has %d bytes, and memory is limited to %d", ErrScratch, size, maxMemory)
	}
	return &memoryScratch{}, nil
}

// scratchSource returns the content of a scratch file.
func scratchSource(s ScratchFile, size int64) (image.Source, error) {
	f, ok := s.(*os.File)
	if !ok {
		return io.NewSectionReader(s, 0, size), nil
	}
	return image.NewFile(f)
}

// A memoryScratch is a scratch file in memory that is written in order.
type memoryScratch struct{ b []byte }

func (m *memoryScratch) WriteAt(p []byte, off int64) (int, error) {
	end := off + int64(len(p))
	if end > maxMemory {
		return 0, fmt.Errorf("unpacking needs more than %d bytes of memory", maxMemory)
	}
	if n := end - int64(len(m.b)); n > 0 {
		m.b = append(m.b, make([]byte, n)...)
	}
	return copy(m.b[off:], p), nil
}

func (m *memoryScratch) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 || off >= int64(len(m.b)) {
		return 0, io.EOF
	}
	n := copy(p, m.b[off:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

func (m *memoryScratch) Close() error {
	m.b = nil
	return nil
}
