// Package vdi reads VDI disk images, the native format of VirtualBox, of version 1.1 as
// VirtualBox and QEMU write them: dynamic and static (fixed) disks. Differencing disks and
// the images of undo logs are refused by name.
//
// Start with [Open], which gives a [Disk]: an image.Source with extents. [Detect] tells a VDI
// by its content. The package never opens a file and never writes.
//
// The format is described by VirtualBox's source (src/VBox/Storage/VDICore.h) and QEMU's
// (block/vdi.c); comments name the fields as VDICore.h does.
package vdi

import (
	"context"
	"io"
	"iter"

	"github.com/luksimg/luksimg/image"
	"github.com/luksimg/luksimg/internal/disk"
)

// Options changes how [Open] reads an image. The zero value is right for all. A VDI that is read
// here needs no other file.
type Options struct {
	// MetadataOnly opens an image to be described and checked: ReadAt and Extents fail.
	MetadataOnly bool
}

// A Disk is an open VDI, seen as its guest sees it. It is an image.Source and an
// image.Extenter, and safe for concurrent use. It holds nothing to be closed, and in memory
// up to 2 MiB of the block map.
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

// Detect reports whether r, of size bytes, starts as a VDI does. It does not check anything
// else; an error while reading counts as no.
func Detect(r io.ReaderAt, size int64) bool {
	b := make([]byte, len(signature))
	if size < offSignature+int64(len(b)) {
		return false
	}
	_, err := readFull(r, b, offSignature)
	return err == nil && string(b) == signature
}

// Open reads and checks the header of the image of size bytes in r. If the block map is at
// most 8 MiB long all of it is checked too, so that a damaged file is refused here and not
// while its data is read; of a longer one each entry is checked when it is used, and
// [Disk.Check] checks all. The Disk keeps r, which must allow concurrent ReadAt if the Disk
// is used concurrently, and must not change meanwhile. If r is an image.Extenter, such as a
// raw file with hole detection, holes in the file are holes of the disk.
//
// A file that breaks the rules of the format gives an *image.FormatError, which matches
// image.ErrFormat; a differencing disk, or one of another version, gives an error that
// matches image.ErrUnsupported. Other errors are those of r. What is odd but readable is in
// [Info.Warnings].
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

// ReadAt reads guest-visible bytes, as io.ReaderAt: at the virtual size it ends with io.EOF.
func (d *Disk) ReadAt(p []byte, off int64) (int, error) { return d.disk.ReadAt(p, off) }

// Extents yields what the n bytes at off of the disk hold, clipped to the disk. A block
// without room in the file is a Hole. Data that lie in a hole of the file, if the reader can
// tell, are a Hole too.
//
// Neighbouring extents may be of one kind; image.Extents joins them. An error in the block
// map ends the sequence, which may be used more than once, and concurrently.
func (d *Disk) Extents(off, n int64) iter.Seq2[image.Extent, error] { return d.disk.Extents(off, n) }
