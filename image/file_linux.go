package image

import (
	"errors"
	"fmt"
	"io"
	"syscall"
)

// Whence values of lseek(2) that package io does not name.
const (
	seekData = 3
	seekHole = 4
)

// extentAt returns the extent at off, cut at end. It moves the file offset, which is harmless: all
// reads use explicit offsets.
func (f *File) extentAt(off, end int64) (Extent, error) {
	data, err := f.f.Seek(off, seekData)
	switch {
	case errors.Is(err, syscall.ENXIO):
		// No data from here to the end, unless the file shrank.
		if now, err := f.f.Seek(0, io.SeekEnd); err != nil {
			return Extent{}, err
		} else if now < f.size {
			return Extent{}, fmt.Errorf("%s: file shrank while it was read: %w", f.f.Name(), io.ErrUnexpectedEOF)
		}
		return Extent{off, end - off, Hole}, nil
	case err != nil:
		// EINVAL: the filesystem does not report holes. A later read reports any other error.
		return Extent{off, end - off, Data}, nil
	case data > off:
		return Extent{off, min(data, end) - off, Hole}, nil
	}
	hole, err := f.f.Seek(off, seekHole)
	if err != nil || hole <= off {
		hole = end
	}
	return Extent{off, min(hole, end) - off, Data}, nil
}
