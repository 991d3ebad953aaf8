// Package vmdk reads and writes VMDK disk images, as VMware's "Virtual Disk Format 5.0"
// describes them and as VMware, VirtualBox and QEMU write them: sparse, flat,
// stream-optimized (compressed), split into extents, and delta disks on a parent.
// Sparse extents of ESX servers (COWD and SESPARSE), disks on devices of the host and
// encrypted ones are refused by name.
//
// Start with [Open], which gives a [Disk]: an image.Source with extents. [Detect]
// tells a VMDK by its content. [Create] and [CreateInOrder] write stream-optimized images. The
// package never opens a file: the extents and the parent that an image names come from
// [Options.Resolve], and an image that needs them is refused without it. Their names are decoded from the encoding
// that the descriptor gives: those of the IANA index that golang.org/x/text has, which
// are nearly all that VMware writes. A name in another one that is not ASCII is refused
// when its file is needed.
package vmdk

import (
	"bytes"
	"context"
	"fmt"
	"io"

	"github.com/luksimg/luksimg/image"
	"github.com/luksimg/luksimg/internal/disk"
)

// sectorSize is what all offsets and sizes in a VMDK count, in bytes.
const sectorSize = 512

// Options changes how [Open] reads an image. The zero value is right for images of
// unknown origin that are complete in themselves.
type Options struct {
	// MetadataOnly opens an image to be described: Resolve is not called and ReadAt
	// and Extents fail.
	MetadataOnly bool

	// Resolve gives the extents and the parent that an image names, in UTF-8 if the descriptor
	// says which encoding the names have, or is in UTF-8 itself; else the names have its bytes. If
	// it is nil, an image that needs one is refused with an [image.RefusedError]. A parent that is a *Disk
	// must have the content ID that the image was made on; of another Source that
	// cannot be told.
	Resolve func(image.Ref) (image.Source, error)

	// ID tells this file from all others, as an absolute path or the numbers of
	// device and inode do. An image whose chain of parents leads back to the same ID
	// is refused. If it is empty, only the length of a chain is limited.
	ID string

	chain disk.Chain // the images that this one is behind
}

// A Disk is an open VMDK, seen as its guest sees it. It is an image.Source and an
// image.Extenter, and safe for concurrent use. In memory it holds the grain
// directories, 4 bytes for each 32 MiB of most disks, up to 2 MiB of grain tables,
// and a few decompressed grains. There is nothing to be closed but what Resolve
// gave.
type Disk struct {
	disk     disk.Disk
	opts     Options
	fileSize int64
	desc     *descriptor
	extents  []*extent // in the order of the disk, without gaps
	warnings []string

	entries int64      // of all grain directories
	pages   disk.Pages // of grain tables
}

var (
	_ image.Source   = (*Disk)(nil)
	_ image.Extenter = (*Disk)(nil)
)

// Open reads the image of size bytes in r: a sparse file that describes itself, or a
// descriptor, which is a text that names the files with the data. Headers and grain
// directories are read and checked here, grain tables as they are needed. The Disk
// keeps r and what Resolve gives, which must allow concurrent ReadAt if the Disk is
// used concurrently, and must not change meanwhile. If they are image.Extenters, such
// as raw files with hole detection, holes in them are holes of the disk.
//
// A file that breaks the rules of the format gives an *image.FormatError, which
// matches image.ErrFormat; one of a kind that is not read here an error that matches
// image.ErrUnsupported; one that needs other files an [image.RefusedError] if there is no
// [Options.Resolve]. Other errors are those of r and of Resolve. What is odd but
// readable is in [Info.Warnings].
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

// openMonolithic opens a sparse file that is a disk by itself: its descriptor, which
// is in it, names the file itself as the only extent (section "Hosted Sparse
// Extents").
func (d *Disk) openMonolithic(r io.ReaderAt) error {
	s, err := d.openSparse(r, d.fileSize)
	if err != nil {
		return err
	}
	text := make([]byte, s.descriptorSize)
	if _, err := readFull(r, text, s.descriptor); err != nil {
		return err
	}
	// QEMU leaves room for a descriptor in the extents of a disk of several files.
	if len(bytes.Trim(text, "\x00")) == 0 {
		return unsupported("this is one extent of a disk, without a descriptor: open the descriptor file that names it")
	}
	if d.desc, err = parseDescriptor(text, s.descriptor); err != nil {
		return err
	}
	d.warnings = append(d.warnings, d.desc.warnings...)
	if n := len(d.desc.extents); n != 1 {
		return unsupported("a sparse file whose descriptor has %d extents; with one extent, itself, it would be read", n)
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

// openDescriptor opens a descriptor file and the extents that it names (section "The
// Descriptor File").
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

// add puts an extent at the end of the disk. That the sizes of all extents can be
// added was checked when they were parsed.
func (d *Disk) add(x *extent) {
	x.start, x.size = d.disk.Size, x.line.sectors*sectorSize
	d.disk.Size += x.size
	d.extents = append(d.extents, x)
}

// Size returns the virtual size in bytes, a multiple of 512.
func (d *Disk) Size() int64 { return d.disk.Size }

// ReadAt reads guest-visible bytes, as io.ReaderAt: at the virtual size it ends
// with io.EOF. Grains that are next to each other in a file are read at once.
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
