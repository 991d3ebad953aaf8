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

// extentAt returns the extent at off, which ends at end at the latest. The file's
// own offset, which lseek moves, means nothing here: all reading is by offset.
func (f *File) extentAt(off, end int64) (Extent, error) {
	data, err := f.f.Seek(off, seekData)
	switch {
	case errors.Is(err, syscall.ENXIO):
		// No data from here to the end: unless the end has moved.
		if now, err := f.f.Seek(0, io.SeekEnd); err != nil {
			return Extent{}, err
		} else if now < f.size {
			return Extent{}, fmt.Errorf("%s: file became shorter while it was read: %w", f.f.Name(), io.ErrUnexpectedEOF)
		}
		return Extent{off, end - off, Hole}, nil
	case err != nil:
		// EINVAL where the filesystem knows nothing of holes; and where anything
		// else goes wrong, reading will say so.
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
