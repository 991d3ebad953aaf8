// Package vdi reads VDI disk images, the native format of VirtualBox. It supports version 1.1 as
// VirtualBox and QEMU write it: dynamic and static (fixed) disks. It refuses differencing disks and
// undo images with image.ErrUnsupported.
//
// [Open] returns a [Disk], an image.Source with extents. [Detect] recognizes a VDI by its content.
// The package never opens a file and never writes.
//
// The sources of VirtualBox (src/VBox/Storage/VDICore.h) and QEMU (block/vdi.c) define the format.
// Comments use the field names of VDICore.h.
package vdi

import (
	"context"
	"io"
	"iter"

	"github.com/luksimg/luksimg/image"
	"github.com/luksimg/luksimg/internal/disk"
)

// Options configure [Open]. The zero value is right for most callers. Supported VDIs need no other
// files.
type Options struct {
	// MetadataOnly opens an image only to describe and check it. ReadAt and Extents fail.
	MetadataOnly bool
}

// A Disk is an open VDI as its guest sees it. It is an image.Source and an image.Extenter, and safe
// for concurrent use. It need not be closed. It holds up to 2 MiB of the block map in memory.
type Disk struct {
	disk     disk.Disk
	file     disk.File
	fileSize int64
	h        *header
	pages    disk.Pages
	warnings []string
}

var (
	_ image.Source   = (*Disk)(nil)
	_ image.Extenter = (*Disk)(nil)
)

// Detect reports whether r, of size bytes, starts like a VDI. It checks nothing else and returns
// false if reading fails.
func Detect(r io.ReaderAt, size int64) bool {
	b := make([]byte, len(signature))
	if size < offSignature+int64(len(b)) {
		return false
	}
	_, err := readFull(r, b, offSignature)
	return err == nil && string(b) == signature
}

// Open reads and checks the header of the image of size bytes in r. It checks the whole block map
// if that has at most 8 MiB. Entries of a longer map are checked when they are used; [Disk.Check]
// checks all of them. The Disk keeps r, which must not change and must support concurrent ReadAt if
// the Disk is used concurrently. If r is an image.Extenter, such as a raw file that reports its
// holes, holes in the file are holes of the disk.
//
// A malformed file returns an *image.FormatError, which matches image.ErrFormat. A differencing
// disk, or one of another version, matches image.ErrUnsupported. Other errors are those of r.
// [Info.Warnings] lists oddities that do not prevent reading.
func Open(_ context.Context, r io.ReaderAt, size int64, opts Options) (*Disk, error) {
	h, err := readHeader(r, size)
	if err != nil {
		return nil, err
	}
	d := &Disk{file: disk.File{R: r}, fileSize: size, h: h, pages: disk.Pages{Format: format, Size: pageSize}}
	d.disk = disk.Disk{Format: format, Size: h.size, Locate: d.locate, MetadataOnly: opts.MetadataOnly}
	d.warnings = h.warnings
	if h.mapSize() <= maxChecked {
		if err := d.checkMap(); err != nil {
			return nil, err
		}
	}
	return d, nil
}

// Size returns the virtual size in bytes, a multiple of 512.
func (d *Disk) Size() int64 { return d.disk.Size }

// ReadAt reads guest-visible bytes; see [io.ReaderAt].
func (d *Disk) ReadAt(p []byte, off int64) (int, error) { return d.disk.ReadAt(p, off) }

// Extents yields the extents of the n bytes at off, clipped to the disk. A block that is not
// allocated is a Hole. So is data in a hole of the file, if r reports holes.
//
// Adjacent extents can have the same kind; image.Extents merges them. The sequence ends after an
// error in the block map. It can be used more than once, and concurrently.
func (d *Disk) Extents(off, n int64) iter.Seq2[image.Extent, error] { return d.disk.Extents(off, n) }
