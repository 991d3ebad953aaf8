package luksimg

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
)

const (
	peekSize = 64 << 10 // checked at the start of a stream, before its use
	tailSize = 512      // checked at its end, which has the signature of some formats
)

// ErrNeedsSeeking means that a stream has a format that cannot be read in order.
var ErrNeedsSeeking = errors.New("needs seeking")

// A SeekingError gives the format of a stream that cannot be read in order. It matches
// [ErrNeedsSeeking].
type SeekingError struct{ Format Format }

func (e *SeekingError) Error() string {
	return fmt.Sprintf("a stream must be a raw disk, but this is %s, which %v", e.Format, ErrNeedsSeeking)
}

// Is reports whether target is [ErrNeedsSeeking].
func (e *SeekingError) Is(target error) bool { return target == ErrNeedsSeeking }

// A RawReader reads a stream that must be a raw disk. If the end of the stream shows another format,
// Read returns an error in place of io.EOF.
type RawReader struct {
	r    *bufio.Reader
	head []byte // the first peekSize bytes, fewer if the stream is shorter
	tail []byte // the last tailSize bytes that were read
	size int64  // the number of bytes read
	any  bool   // nothing is checked
}

// NewRawReader reads the start of r and checks it, unless a format is given. If the stream is not a raw
// disk, the error is a [SeekingError] or that of [Detect]. An empty stream is a disk of zero bytes.
func NewRawReader(r io.Reader, format Format) (*RawReader, error) {
	s := &RawReader{r: bufio.NewReaderSize(r, peekSize), any: format == Raw}
	head, err := s.r.Peek(peekSize)
	if err != nil && err != io.EOF {
		return nil, err
	}
	s.head = bytes.Clone(head)
	if len(head) == 0 {
		s.any = true
		return s, nil
	}
	switch {
	case s.any:
		return s, nil
	case format != "":
		return nil, &SeekingError{format}
	case err == io.EOF: // the stream is short
		return s, s.check(head[max(0, len(head)-tailSize):], int64(len(head)))
	}
	return s, s.check(nil, math.MaxInt64)
}

// check looks for signatures in the head and the tail of a disk of size bytes.
func (s *RawReader) check(tail []byte, size int64) error {
	format, err := Detect(&ends{s.head, tail, size}, size)
	if err == nil && format != Raw {
		err = &SeekingError{format}
	}
	return err
}

// Head returns the first 64 KiB of the disk, or the whole disk if it is shorter.
func (s *RawReader) Head() []byte { return s.head }

// Read reads the disk; see [io.Reader].
func (s *RawReader) Read(p []byte) (int, error) {
	n, err := s.r.Read(p)
	s.size += int64(n)
	s.tail = append(s.tail, p[max(0, n-tailSize):n]...)
	s.tail = append(s.tail[:0], s.tail[max(0, len(s.tail)-tailSize):]...)
	if err == io.EOF && !s.any {
		if wrong := s.check(s.tail, s.size); wrong != nil {
			return n, wrong
		}
	}
	return n, err
}

// ends is a file with a known start and end. The middle, which is unknown, reads as zeros.
type ends struct {
	head, tail []byte
	size       int64
}

func (e *ends) ReadAt(p []byte, off int64) (int, error) {
	if off >= e.size {
		return 0, io.EOF
	}
	n := int(min(int64(len(p)), e.size-off))
	clear(p[:n])
	if off < int64(len(e.head)) {
		copy(p[:n], e.head[off:])
	}
	start := e.size - int64(len(e.tail))
	switch {
	case off >= start:
		copy(p[:n], e.tail[off-start:])
	case off+int64(n) > start:
		copy(p[start-off:n], e.tail)
	}
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}
