// Package vmdk reads and writes VMDK disk images. It follows VMware's "Virtual Disk Format 5.0" and
// the files that VMware, VirtualBox and QEMU write. It reads sparse, flat, stream-optimized
// (compressed) and split images, and delta disks on a parent. It refuses sparse extents of ESX
// servers (COWD and SESPARSE), disks on devices of the host and encrypted disks with
// [image.ErrUnsupported].
//
// [Open] returns a [Disk], an image.Source with extents. [Detect] recognizes a VMDK by its content.
// [Create] and [CreateInOrder] write stream-optimized images. The package never opens a file:
// [Options.Resolve] supplies the extents and the parent that an image names. Without it, such an
// image is refused.
//
// Names are decoded from the encoding that the descriptor gives. The package supports the encodings
// of the IANA index in golang.org/x/text, which are nearly all that VMware writes. A non-ASCII name
// in another encoding is refused when its file is needed.
package vmdk

import (
	"bytes"
	"context"
	"fmt"
	"io"

	"github.com/luksimg/luksimg/image"
	"github.com/luksimg/luksimg/internal/disk"
)

// sectorSize is the unit of all offsets and sizes in a VMDK, in bytes.
const sectorSize = 512

// Options configure [Open]. The zero value is right for images of unknown origin that need no other
// files.
type Options struct {
	// MetadataOnly opens an image only to describe it. Resolve is not called, and ReadAt and
	// Extents fail.
	MetadataOnly bool

	// Resolve returns the extents and the parent that an image names. Names are in UTF-8 if the
	// descriptor is in UTF-8 or gives its encoding; else they have the bytes of the descriptor. If
	// Resolve is nil, an image that needs another file is refused with an [image.RefusedError]. A
	// parent that is a *Disk must have the content ID that the image records; other Sources cannot
	// be checked.
	Resolve func(image.Ref) (image.Source, error)

	// ID identifies this file, such as an absolute path or the device and inode numbers. An image
	// whose chain of parents leads back to the same ID is refused. If ID is empty, only the length
	// of the chain is limited.
	ID string

	chain disk.Chain // the images in front of this one
}

// A Disk is an open VMDK as its guest sees it. It is an image.Source and an image.Extenter, and
// safe for concurrent use. It holds in memory the grain directories, usually 4 bytes per 32 MiB of
// the disk, up to 2 MiB of grain tables, and a few decompressed grains. It need not be closed; the
// caller closes the files that Resolve returned.
type Disk struct {
	disk     disk.Disk
	opts     Options
	fileSize int64
	desc     *descriptor
	extents  []*extent // in order, without gaps
	warnings []string

	entries int64      // number of entries of all grain directories
	pages   disk.Pages // cache of grain tables
}

var (
	_ image.Source   = (*Disk)(nil)
	_ image.Extenter = (*Disk)(nil)
)

// Open opens the image of size bytes in r: a sparse file with a descriptor, or a text descriptor
// that names the files with the data. It reads and checks headers and grain directories. Grain
// tables are read and checked when they are needed. The Disk keeps r and the files of Resolve,
// which must not change and must support concurrent ReadAt if the Disk is used concurrently. If
// they are image.Extenters, such as raw files that report their holes, holes in them are holes of
// the disk.
//
// A malformed file returns an *image.FormatError, which matches image.ErrFormat. An unsupported
// kind of file matches image.ErrUnsupported. An image that needs other files returns an
// [image.RefusedError] if [Options.Resolve] is nil. Other errors are those of r and of Resolve.
// [Info.Warnings] lists oddities that do not prevent reading.
func Open(_ context.Context, r io.ReaderAt, size int64, opts Options) (*Disk, error) {
	d := &Disk{opts: opts, fileSize: size, pages: disk.Pages{Format: "vmdk", Size: pageSize}}
	d.disk = disk.Disk{Format: "vmdk", Locate: d.locate, Unpack: d.decompress, MetadataOnly: opts.MetadataOnly}
	start := make([]byte, min(max(size, 0), probeBytes))
	if _, err := readFull(r, start, 0); err != nil {
		return nil, err
	}
	var err error
	switch kind := probe(start); kind {
	case fileSparse:
		err = d.openMonolithic(r)
	case fileDescriptor:
		err = d.openDescriptor(r)
	default:
		err = notRead(kind, start)
	}
	if err != nil {
		return nil, err
	}
	if err := d.openParent(); err != nil {
		return nil, err
	}
	d.disk.Units = disk.NewCache(d.grainBytes())
	return d, nil
}

// openMonolithic opens a sparse file that is a whole disk. Its embedded descriptor names the file
// itself as the only extent (section "Hosted Sparse Extents").
func (d *Disk) openMonolithic(r io.ReaderAt) error {
	s, err := d.openSparse(r, d.fileSize)
	if err != nil {
		return err
	}
	text := make([]byte, s.descriptorSize)
	if _, err := readFull(r, text, s.descriptor); err != nil {
		return err
	}
	// QEMU reserves space for a descriptor in each extent of a split disk.
	if len(bytes.Trim(text, "\x00")) == 0 {
		return unsupported("the file is one extent of a disk, without a descriptor: open the descriptor file that names it")
	}
	if d.desc, err = parseDescriptor(text, s.descriptor); err != nil {
		return err
	}
	d.warnings = append(d.warnings, d.desc.warnings...)
	if n := len(d.desc.extents); n != 1 {
		return unsupported("the descriptor in a sparse file has %d extents, want 1", n)
	}
	line := &d.desc.extents[0]
	if line.kind != typeSparse {
		return lineError(line.at, "extent", line.typ, "SPARSE, as the descriptor is in a sparse file")
	}
	x := &extent{line: *line, sparse: s}
	if err := x.accessible(); err != nil && !d.opts.MetadataOnly {
		return err
	}
	if err := d.fit(x, true); err != nil {
		return err
	}
	d.add(x)
	return nil
}

// openDescriptor opens a descriptor file and the extents that it names (section "The Descriptor
// File").
func (d *Disk) openDescriptor(r io.ReaderAt) error {
	if d.fileSize > maxDescriptor {
		return fieldError(0, "file size", d.fileSize, "at most %d bytes, for a descriptor", maxDescriptor)
	}
	text := make([]byte, d.fileSize)
	_, err := readFull(r, text, 0)
	if err != nil {
		return err
	}
	if d.desc, err = parseDescriptor(text, 0); err != nil {
		return err
	}
	d.warnings = append(d.warnings, d.desc.warnings...)
	files := map[string]image.Source{}
	for i := range d.desc.extents {
		x := &extent{line: d.desc.extents[i]}
		if x.line.kind != typeZero && !d.opts.MetadataOnly {
			if err := d.openExtent(x, files); err != nil {
				return err
			}
		}
		d.add(x)
	}
	return nil
}

// add appends an extent to the disk. The parser has checked that the sum of all sizes does not
// overflow.
func (d *Disk) add(x *extent) {
	x.start, x.size = d.disk.Size, x.line.sectors*sectorSize
	d.disk.Size += x.size
	d.extents = append(d.extents, x)
}

// Size returns the virtual size in bytes, a multiple of 512.
func (d *Disk) Size() int64 { return d.disk.Size }

// ReadAt reads guest-visible bytes; see [io.ReaderAt]. It joins grains that are adjacent in a file
// into one read.
func (d *Disk) ReadAt(p []byte, off int64) (int, error) { return d.disk.ReadAt(p, off) }

func readFull(r io.ReaderAt, p []byte, off int64) (int, error) {
	return disk.ReadFull("vmdk", r, p, off)
}

func fieldError(off int64, field string, value any, want string, args ...any) error {
	return &image.FormatError{Format: "vmdk", Offset: off, Field: field, Value: value, Want: fmt.Sprintf(want, args...)}
}

func unsupported(format string, args ...any) error {
	return fmt.Errorf("vmdk: %w: %s", image.ErrUnsupported, fmt.Sprintf(format, args...))
}
