// Package disk is shared by the readers of image formats. A format's reader locates runs of its
// disk. From these, a [Disk] implements reads, extents, reads of parents and the cache of
// decompressed units.
package disk

import (
	"errors"
	"fmt"
	"io"

	"github.com/luksimg/luksimg/image"
)

// A Disk is an open image as its guest sees it. Its fields are set before its first use and do not
// change. It is safe for concurrent use if its functions are.
type Disk struct {
	Format string // name of the format in errors: "qcow2"
	Size   int64  // of the disk, in bytes

	// Locate returns the run at pos of the disk. pos is less than Size. The run has at least one
	// byte and ends at end or before. Locate does a bounded amount of work. It can return only the
	// start of a run: the caller asks again for the rest.
	Locate func(pos, end int64) (Run, error)

	// Parent holds the bytes that are absent from this image. If it is nil, they are zeros.
	Parent image.Source

	// ParentName is the name of the parent in errors, such as `backing file "base.img"`.
	ParentName string

	// MetadataOnly makes ReadAt and Extents fail, as the other files of the disk were not opened.
	MetadataOnly bool

	// Locked, if not nil, returns an error while the disk cannot be read. Its extents are known
	// even then.
	Locked func() error

	// ReadData reads the bytes of a run of [Data] whose first byte is at pos of the disk. If it is
	// nil, they are read from the file unchanged.
	ReadData func(p []byte, r Run, pos int64) (int, error)

	// Unpack decompresses into dst the unit that contains r, a run of [Packed].
	Unpack func(dst []byte, r Run) error

	// UnpackAll, if not nil, decompresses several units faster than one by one. It returns the
	// number of units before the first error, and that error.
	UnpackAll func(units []PackedUnit) (int, error)

	// Units caches decompressed units. It is nil for a format without compression.
	Units *Cache
}

// A Unit identifies a compressed unit of the image.
type Unit struct {
	File *File
	Key  uint64
}

// A PackedUnit is a unit to decompress whole into Dst.
type PackedUnit struct {
	Dst []byte
	Run
}

// A File is a file that holds runs of data.
type File struct {
	R io.ReaderAt

	// Opaque means that a hole of the file is not zeros of the disk, as in an encrypted image.
	Opaque bool

	// Wrap, if not nil, adds the name of the file to an error.
	Wrap func(error) error
}

func (f *File) wrap(err error) error {
	if err == nil || f.Wrap == nil {
		return err
	}
	return f.Wrap(err)
}

// ReadAt reads guest-visible bytes; see [io.ReaderAt]. It joins runs that are adjacent in a file
// into one read.
func (d *Disk) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 {
		return 0, fmt.Errorf("%s: negative read offset", d.Format)
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
			known = Run{} // readSome read it too
		}
	}
	return len(p), end
}

// readable returns an error if the disk was opened for its metadata only.
func (d *Disk) readable() error {
	if d.MetadataOnly {
		return fmt.Errorf("%s: the image was opened for its metadata only", d.Format)
	}
	return nil
}

// Limits of what UnpackAll decompresses in one call: units, and bytes of the disk.
const (
	unitsAtOnce = 16
	bytesAtOnce = 1 << 20
)

// readSome reads the run at pos into p. It also reads the following runs up to end if they are
// whole compressed units and UnpackAll is set.
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
			break // a later call repeats the error
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

// read reads the run at pos into p.
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

// ReadFile fills p from f. Its error gives the offset.
func (d *Disk) ReadFile(p []byte, f *File, off int64) (int, error) {
	n, err := ReadFull(d.Format, f.R, p, off)
	return n, f.wrap(err)
}

// readParent reads bytes that are absent from this image. Bytes past the end of the parent are
// zeros.
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

// inParent returns how many of the n bytes at pos lie inside the parent.
func (d *Disk) inParent(pos, n int64) int64 {
	if d.Parent == nil {
		return 0
	}
	return max(min(n, d.Parent.Size()-pos), 0)
}

// ReadFull is [image.ReadFull] with an error that names the format and the offset.
func ReadFull(format string, r io.ReaderAt, p []byte, off int64) (int, error) {
	n, err := image.ReadFull(r, p, off)
	if err != nil {
		err = fmt.Errorf("%s: read %d bytes at offset %d of the file: %w", format, len(p), off, err)
	}
	return n, err
}
