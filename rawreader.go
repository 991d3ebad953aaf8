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
	peekSize = 64 << 10 // of the start of a stream is looked at before anything is made of it
	tailSize = 512      // of its end, afterwards: there are the signatures of some formats
)

// ErrNeedsSeeking is a stream that is an image of a format which can not be read in order.
var ErrNeedsSeeking = errors.New("needs seeking")

// A SeekingError says of which format a stream is that can not be read in order. It matches
// [ErrNeedsSeeking].
type SeekingError struct{ Format Format }

func (e *SeekingError) Error() string {
	return fmt.Sprintf("the stream is taken as a raw disk, but this is %s, which %v", e.Format, ErrNeedsSeeking)
}

// Is reports whether target is [ErrNeedsSeeking].
func (e *SeekingError) Is(target error) bool { return target == ErrNeedsSeeking }

// A RawReader reads a stream that is a raw disk. Where an io.EOF would be, it is an error if the
// stream turns out to be something else.
type RawReader struct {
	r    *bufio.Reader
	head []byte // the first peekSize bytes, or all there are
	tail []byte // the last tailSize bytes that were read
	size int64  // what was read
	any  bool   // it is taken as it is
}

// NewRawReader reads the start of r, and looks at it, unless the format was given. A stream that is
// no raw disk is a [SeekingError], or what [Detect] says of it. An empty one is a disk without a
// byte.
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
	case err == io.EOF: // this is all
		return s, s.check(head[max(0, len(head)-tailSize):], int64(len(head)))
	}
	return s, s.check(nil, math.MaxInt64)
}

// check looks for signatures in the first bytes, and in the last ones of size.
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

// ends is a file of which the start and the end are known. What is between reads as zeros.
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
