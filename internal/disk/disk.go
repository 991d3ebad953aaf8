// Package disk is what the readers of image formats share. A format tells where a run of
// its disk lies; a [Disk] makes of that the reads, the extents, the reads of parents and
// the cache of decompressed units.
package disk

import (
	"errors"
	"fmt"
	"io"

	"github.com/luksimg/luksimg/image"
)

// A Disk is an open image as its guest sees it. Its fields are set before its first use and
// do not change. It is safe for concurrent use if its functions are.
type Disk struct {
	Format string // how errors call the format: "qcow2"
	Size   int64  // of the disk, in bytes

	// Locate returns the run at pos of the disk, which is less than Size. The run has at
	// least one byte and ends at end or before. Locate does a bounded amount of work: it
	// may return a run that goes on, and leave it to the caller to ask again.
	Locate func(pos, end int64) (Run, error)

	// Parent is the image that has what this one has not. If it is nil, that is zeros.
	Parent image.Source

	// ParentName is how errors call the parent, such as `backing file "base.img"`.
	ParentName string

	// MetadataOnly refuses to read and to tell extents: the other files that the disk needs
	// were not opened.
	MetadataOnly bool

	// Locked tells why the disk cannot be read, although its extents are known. It may be
	// nil.
	Locked func() error

	// ReadData reads the bytes of a run of [Data], the first of which is at pos of the disk.
	// If it is nil they are read from the file as they are.
	ReadData func(p []byte, r Run, pos int64) (int, error)

	// Unpack decompresses the unit that a run of [Packed] is part of into dst.
	Unpack func(dst []byte, r Run) error

	// UnpackAll is Unpack of several units, for a format that has them sooner at once. It returns
	// how many there are in front of the first with an error, and that. It may be nil.
	UnpackAll func(units []PackedUnit) (int, error)

	// Units keeps the units that were decompressed last. It is nil for a format without.
	Units *Cache
}

// A Unit tells what is compressed together from all others in the image.
type Unit struct {
	File *File
	Key  uint64
}

// A PackedUnit is a unit to decompress, all of it, into Dst.
type PackedUnit struct {
	Dst []byte
	Run
}

// A File is where a run of data lies.
type File struct {
	R io.ReaderAt

	// Opaque tells that a hole of the file is not zeros of the disk, as in an encrypted
	// image.
	Opaque bool

	// Wrap adds to an error of the file which one it is. It may be nil.
	Wrap func(error) error
}

func (f *File) wrap(err error) error {
	if err == nil || f.Wrap == nil {
		return err
	}
	return f.Wrap(err)
}

// ReadAt reads guest-visible bytes, as io.ReaderAt: at Size it ends with io.EOF. Runs that
// are next to each other in a file are read at once.
func (d *Disk) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 {
		return 0, fmt.Errorf("%s: read at a negative offset", d.Format)
	}
	if err := d.readable(); err != nil {
		return 0, err
	}
	if d.Locked != nil {
		if err := d.Locked(); err != nil {
			return 0, err
		}
	}
	if len(p) == 0 {
		return 0, nil
	}
	if off >= d.Size {
		return 0, io.EOF
	}
	var end error
	if int64(len(p)) > d.Size-off {
		p, end = p[:d.Size-off], io.EOF
	}
	var known Run
	for done := 0; done < len(p); {
		pos := off + int64(done)
		r, after, err := d.next(pos, off+int64(len(p)), known)
		if err != nil {
			return done, err
		}
		n, err := d.readSome(p[done:], r, pos, off+int64(len(p)))
		done += n
		if err != nil {
			return done, err
		}
		if known = after; int64(n) != r.N {
			known = Run{} // it was read too
		}
	}
	return len(p), end
}

// readable tells why neither data nor extents can be had, if so.
func (d *Disk) readable() error {
	if d.MetadataOnly {
		return fmt.Errorf("%s: the image was opened for its metadata only", d.Format)
	}
	return nil
}

// How many units, and how much of the disk, are decompressed at once.
const (
	unitsAtOnce = 16
	bytesAtOnce = 1 << 20
)

// readSome reads the run at pos into the start of p, and those after it, which end at end or
// before, if they are whole units that can be decompressed at once.
func (d *Disk) readSome(p []byte, r Run, pos, end int64) (int, error) {
	if d.UnpackAll == nil || !r.wholeUnit() || pos+r.N >= end {
		return d.read(p[:r.N], r, pos)
	}
	var room [unitsAtOnce]PackedUnit
	units, n := room[:0], int64(0)
	for {
		units = append(units, PackedUnit{p[n:][:r.N], r})
		if n += r.N; len(units) == unitsAtOnce || n >= bytesAtOnce || pos+n >= end {
			break
		}
		var err error
		if r, err = d.Next(pos+n, end); err != nil || !r.wholeUnit() {
			break // an error is found again
		}
	}
	if len(units) == 1 {
		return d.read(p[:n], units[0].Run, pos)
	}
	done, err := d.UnpackAll(units)
	if err != nil {
		n = 0
		for _, u := range units[:done] {
			n += u.N
		}
		err = units[done].File.wrap(err)
	}
	return int(n), err
}

// read reads the run at pos.
func (d *Disk) read(p []byte, r Run, pos int64) (int, error) {
	switch r.Kind {
	case Data:
		if d.ReadData != nil {
			return d.ReadData(p, r, pos)
		}
		return d.ReadFile(p, r.File, r.Host)
	case Packed:
		n, err := d.Units.Read(p, Unit{r.File, r.Key}, r.Within, r.UnitSize, func(dst []byte) error { return d.Unpack(dst, r) })
		return n, r.File.wrap(err)
	case Absent:
		return d.readParent(p, pos)
	}
	clear(p)
	return len(p), nil
}

// ReadFile fills p from a file, or returns an error that says where that failed.
func (d *Disk) ReadFile(p []byte, f *File, off int64) (int, error) {
	n, err := ReadFull(d.Format, f.R, p, off)
	return n, f.wrap(err)
}

// readParent reads what is not in this image. What the parent is too short for is zeros.
func (d *Disk) readParent(p []byte, pos int64) (int, error) {
	n := int(d.inParent(pos, int64(len(p))))
	if n > 0 {
		got, err := d.Parent.ReadAt(p[:n], pos)
		if got < n {
			if err == nil || errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			return got, fmt.Errorf("%s: %s: %w", d.Format, d.ParentName, err)
		}
	}
	clear(p[n:])
	return len(p), nil
}

// inParent returns how many of the n bytes at pos the parent has.
func (d *Disk) inParent(pos, n int64) int64 {
	if d.Parent == nil {
		return 0
	}
	return max(min(n, d.Parent.Size()-pos), 0)
}

// ReadFull is [image.ReadFull] of a file of a format, with an error that says where.
func ReadFull(format string, r io.ReaderAt, p []byte, off int64) (int, error) {
	n, err := image.ReadFull(r, p, off)
	if err != nil {
		err = fmt.Errorf("%s: read %d bytes at offset %d of the file: %w", format, len(p), off, err)
	}
	return n, err
}
