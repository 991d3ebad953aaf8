// Package vhdx reads and writes VHDX disk images. It follows [MS-VHDX], "Virtual Hard Disk v2
// (VHDX) File Format", and the files that Hyper-V and QEMU write. It reads fixed, dynamic and
// differencing disks, even with a log that must be replayed, and writes dynamic ones.
//
// [Open] returns a [Disk], an image.Source with extents. [Create] writes a new image. [Detect]
// recognizes a VHDX file by its content. The package never opens a file and never changes the file
// that it reads: it replays the log in memory. [Options.Resolve] supplies the parent of a
// differencing disk. Without it, such a disk is refused.
//
// [MS-VHDX]: https://learn.microsoft.com/openspecs/windows_protocols/ms-vhdx
package vhdx

import (
	"context"
	"io"

	"github.com/luksimg/luksimg/image"
	"github.com/luksimg/luksimg/internal/disk"
)

// Options configure [Open]. The zero value is right for images of unknown origin that have no
// parent.
type Options struct {
	// Resolve returns the parent of a differencing disk. If it is nil, such a disk is refused with
	// an [image.RefusedError]. The names are Windows paths with "\" as the separator: a path
	// relative to the folder of the image, a path with the GUID of a volume, and a path with a
	// drive or a share.
	Resolve func(image.Ref) (image.Source, error)

	// ID identifies this file, such as an absolute path or the device and inode numbers. An image
	// whose chain of parents leads back to the same ID is refused. If ID is empty, only the length
	// of the chain is limited.
	ID string

	// MetadataOnly opens an image only to describe and check it. Resolve is not called, and ReadAt
	// and Extents fail.
	MetadataOnly bool

	chain   disk.Chain // the images in front of this one
	linkage []guid     // the linkage that the image in front of this one records
}

// A Disk is an open VHDX image as its guest sees it. It is an image.Source and an image.Extenter,
// and safe for concurrent use. It need not be closed. It holds in memory up to 4 MiB of the block
// allocation table and of sector bitmaps, one bit per 8 KiB of the table, and the parts of the file
// that its log replaces.
type Disk struct {
	disk     disk.Disk
	file     disk.File // the file after the replay of its log
	fileSize int64     // its size after the replay
	log      *view     // nil if the log is empty
	pages    disk.Pages
	opts     Options
	h        *header
	regions  *regions
	m        *metadata
	bat      table
	warnings []string
}

var (
	_ image.Source   = (*Disk)(nil)
	_ image.Extenter = (*Disk)(nil)
)

// Detect reports whether r, of size bytes, starts like a VHDX file. It checks nothing else and
// returns false if reading fails.
func Detect(r io.ReaderAt, size int64) bool {
	b := make([]byte, len(fileMagic))
	if size < headerEnd {
		return false
	}
	_, err := readFull(r, b, 0)
	return err == nil && string(b) == fileMagic
}

// Open reads and checks the metadata of the image of size bytes in r, and replays its log in
// memory. It checks the whole block allocation table if that has at most 8 MiB. Entries of a longer
// table are checked when they are used; [Disk.Check] checks all of them. The Disk keeps r, which
// must not change and must support concurrent ReadAt if the Disk is used concurrently. If r is an
// image.Extenter, such as a raw file that reports its holes, holes in the file are holes of the
// disk.
//
// A malformed file returns an *image.FormatError, which matches image.ErrFormat. Unknown features
// match image.ErrUnsupported. A differencing disk returns an [image.RefusedError] if
// [Options.Resolve] is nil, and [ErrLinkage] if its parent is not the one that it was made for.
// Other errors are those of r and of Resolve. [Info.Warnings] lists oddities that do not prevent
// reading.
func Open(_ context.Context, r io.ReaderAt, size int64, opts Options) (*Disk, error) {
	h, err := readHeader(r, size)
	if err != nil {
		return nil, err
	}
	d := &Disk{file: disk.File{R: r}, fileSize: size, opts: opts, h: h, pages: disk.Pages{Format: "vhdx", Size: pageSize}}
	if err := d.checkLinkage(opts.linkage); err != nil {
		return nil, err
	}
	if h.dirty() {
		if d.log, err = openLog(r, size, h); err != nil {
			return nil, err
		}
		d.file.R, d.fileSize = d.log, d.log.size
	}
	if d.regions, err = readRegions(d.file.R, d.fileSize, h); err != nil {
		return nil, err
	}
	if d.m, err = readMetadata(d.file.R, d.regions.metadata); err != nil {
		return nil, err
	}
	d.disk = disk.Disk{Format: "vhdx", Size: d.m.size, Locate: d.locate, MetadataOnly: opts.MetadataOnly}
	if err := d.openTable(); err != nil {
		return nil, err
	}
	d.warn()
	if opts.MetadataOnly {
		return d, nil
	}
	if err := d.resolve(); err != nil {
		return nil, err
	}
	return d, nil
}

// Size returns the virtual size in bytes, a multiple of 512.
func (d *Disk) Size() int64 { return d.m.size }

// SectorSize returns the size of the disk's logical sectors in bytes, 512 or 4096 (MS-VHDX, section
// 2.6.2.4). Partition tables count these sectors.
func (d *Disk) SectorSize() int64 { return d.m.logicalSector }

// ReadAt reads guest-visible bytes; see [io.ReaderAt]. It joins blocks that are adjacent in the
// file into one read.
func (d *Disk) ReadAt(p []byte, off int64) (int, error) { return d.disk.ReadAt(p, off) }

func readFull(r io.ReaderAt, p []byte, off int64) (int, error) {
	return disk.ReadFull("vhdx", r, p, off)
}
