// Package vhdx reads and writes VHDX disk images as [MS-VHDX], "Virtual Hard Disk v2 (VHDX)
// File Format", describes them and as Hyper-V and QEMU write them. It reads fixed, dynamic
// and differencing disks, with a log that was not replayed yet, and writes dynamic ones.
//
// Start with [Open], which gives a [Disk]: an image.Source with extents, or with [Create].
// [Detect] tells a VHDX file by its content. The package never opens a file, and what it
// reads it does not change: the log is replayed in memory, and a differencing disk gets its
// parent from [Options.Resolve], and is refused without it.
//
// [MS-VHDX]: https://learn.microsoft.com/openspecs/windows_protocols/ms-vhdx
package vhdx

import (
	"context"
	"io"

	"github.com/luksimg/luksimg/image"
	"github.com/luksimg/luksimg/internal/disk"
)

// Options changes how [Open] reads an image. The zero value is right for images of
// unknown origin that are complete in themselves.
type Options struct {
	// Resolve gives the parent that a differencing disk names. If it is nil, such a
	// disk is refused with an [image.RefusedError]. Paths are those of Windows, with "\" between
	// their parts: one relative to the folder of the image, one with the GUID of a volume, and
	// one with a drive or a share.
	Resolve func(image.Ref) (image.Source, error)

	// ID tells this file from all others, as an absolute path or the numbers of
	// device and inode do. An image whose chain of parents leads back to the same
	// ID is refused. If it is empty, only the length of a chain is limited.
	ID string

	// MetadataOnly opens an image to be described and checked: Resolve is not
	// called and ReadAt and Extents fail.
	MetadataOnly bool

	chain   disk.Chain // the images that this one is behind
	linkage []guid     // what the one in front of it says that this one is
}

// A Disk is an open VHDX image, seen as its guest sees it. It is an image.Source and
// an image.Extenter, and safe for concurrent use. It holds nothing to be closed, and
// in memory up to 4 MiB of the block allocation table and of sector bitmaps, a bit
// for each 8 KiB of the table, and which parts of the file its log replaces.
type Disk struct {
	disk     disk.Disk
	file     disk.File // with its log replayed
	fileSize int64     // likewise
	log      *view     // nil if there is no log to be replayed
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

// Detect reports whether r, of size bytes, starts as a VHDX file does. It does not
// check anything else; an error while reading counts as no.
func Detect(r io.ReaderAt, size int64) bool {
	b := make([]byte, len(fileMagic))
	if size < headerEnd {
		return false
	}
	_, err := readFull(r, b, 0)
	return err == nil && string(b) == fileMagic
}

// Open reads the metadata of the image of size bytes in r, and its log if that has
// to be replayed, and checks them. If the block allocation table is at most 8 MiB
// long all of it is checked too, so that a damaged file is refused here and not while
// its data is read; of a longer one each entry is checked when it is used, and
// [Disk.Check] checks all. The Disk keeps r, which must allow concurrent ReadAt if
// the Disk is used concurrently, and must not change meanwhile. If r is an
// image.Extenter, such as a raw file with hole detection, holes in the file are holes
// of the disk.
//
// A file that breaks the rules of the format gives an *image.FormatError, which
// matches image.ErrFormat; one with features that are not known here an error that
// matches image.ErrUnsupported; one that needs a parent an [image.RefusedError] if there is
// no [Options.Resolve], and [ErrLinkage] if it gets another parent than it was made
// for. Other errors are those of r and of Resolve. What is odd but readable is in
// [Info.Warnings].
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

// SectorSize returns the size of the disk's logical sectors in bytes, 512 or 4096 (MS-VHDX,
// 2.6.2.4): what a partition table on it counts in.
func (d *Disk) SectorSize() int64 { return d.m.logicalSector }

// ReadAt reads guest-visible bytes, as io.ReaderAt: at the virtual size it ends with
// io.EOF. Blocks that are next to each other in the file are read at once.
func (d *Disk) ReadAt(p []byte, off int64) (int, error) { return d.disk.ReadAt(p, off) }

func readFull(r io.ReaderAt, p []byte, off int64) (int, error) {
	return disk.ReadFull("vhdx", r, p, off)
}
