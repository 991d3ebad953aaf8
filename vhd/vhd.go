// Package vhd reads and creates Microsoft VHD disk images: fixed, dynamic and differencing. It
// follows the "Virtual Hard Disk Image Format Specification" 1.0 and the disks that Hyper-V,
// Virtual PC, Azure, XenServer and QEMU write. It also reads disks that XenServer's vhd-util
// encrypted.
//
// [Open] returns a [Disk], an image.Source with extents. [Detect] recognizes a VHD by its content,
// and [CheckFile] finds errors in one. The package never opens a file: [Options.Resolve] supplies
// the parent of a differencing disk. Without it, such a disk is refused.
//
// [Create] writes fixed, dynamic and encrypted disks.
package vhd

import (
	"context"
	"fmt"
	"io"
	"math/bits"
	"sync/atomic"

	"github.com/luksimg/luksimg/image"
	"github.com/luksimg/luksimg/internal/disk"
	"github.com/luksimg/luksimg/xts"
)

// sectorSize is the unit of sector numbers and bitmap bits in a VHD, in bytes.
const sectorSize = 512

// Options configure [Open]. The zero value follows the specification. It suits disks of Hyper-V,
// Azure, XenServer and QEMU that have no parent.
type Options struct {
	// Resolve returns the parent of a differencing disk. If it is nil, a disk that has a parent is
	// refused with an [image.RefusedError]. The names are those of the parent locators W2ru and
	// W2ku and of the header. The first two have the separators of Windows, and W2ru is relative to
	// the folder of the disk. The name in the header usually has no folder.
	Resolve func(image.Ref) (image.Source, error)

	// ID identifies this file, such as an absolute path or the device and inode numbers. A disk
	// whose chain of parents leads back to the same ID is refused. If ID is empty, only the length
	// of the chain is limited.
	ID string

	// Key is the key of a disk that vhd-util encrypted: 32 or 64 bytes. Open uses it and does not
	// keep it. It is ignored if the disk is not encrypted. See also [Disk.Unlock].
	Key []byte

	// MetadataOnly opens a disk only to describe and check it. Resolve is not called, and ReadAt
	// and Extents fail.
	MetadataOnly bool

	// SizeByCHS takes the virtual size from the disk geometry (cylinders x heads x sectors per
	// track) instead of the footer's current size. Virtual PC does that, and so does QEMU for
	// creators that it does not know. The maximum geometry of 65535 x 16 x 255 does not give the
	// size and is ignored.
	SizeByCHS bool

	// IgnoreBitmaps reads allocated blocks of a dynamic disk whole, as QEMU does. By default,
	// sectors whose bitmap bit is clear read as zeros. Set it for disks whose writer did not
	// maintain the sector bitmaps. The bitmaps of a differencing disk are always used, as they
	// separate its sectors from those of its parent.
	IgnoreBitmaps bool

	chain disk.Chain // the disks in front of this one
}

// A Disk is an open VHD as its guest sees it. It is an image.Source and an image.Extenter, and safe
// for concurrent use, except for Close. It holds the block allocation table in memory, 4 bytes per
// block.
type Disk struct {
	disk     disk.Disk // its Size is a multiple of sectorSize
	file     disk.File
	fileSize int64 // bytes
	opts     Options
	info     Info
	regions  []image.Region

	// The following fields are for dynamic and differencing disks. bat is nil for fixed disks,
	// which start at the first byte of the file.

	bat        []uint32 // by block: the sector of its bitmap, or absent
	blockSize  int64    // bytes, a power of two
	blockShift uint     // log2(blockSize)
	bitmapSize int64    // bytes that precede the data of a block
	lsbFirst   bool     // the lowest bit of a bitmap byte is its first sector

	// states caches the state of each block's bitmap, two bits per block. It is nil when bitmaps
	// are ignored.
	states  []atomic.Uint32
	bitmaps disk.Pages // bitmaps of blocks with both kinds of sectors

	differencing bool

	keyHash *keyHash                   // nil if the disk is not encrypted
	cipher  atomic.Pointer[xts.Cipher] // nil while locked
}

var (
	_ image.Source   = (*Disk)(nil)
	_ image.Extenter = (*Disk)(nil)
)

// Open reads and checks the metadata of the VHD of size bytes in r. It refuses a truncated or
// inconsistent file. The Disk keeps r, which must not change and must support concurrent ReadAt if
// the Disk is used concurrently. If r is an image.Extenter, such as a raw file that reports its
// holes, a fixed disk returns its extents.
//
// A malformed file returns an *image.FormatError, which matches image.ErrFormat. A differencing
// disk returns an [image.RefusedError] if [Options.Resolve] is nil. A disk of more than 8388608
// blocks, or with more than 64 parents, matches image.ErrUnsupported. If the key is wrong, the
// error is [ErrKey]. Other errors are those of r and of Resolve. [Info.Warnings] lists oddities
// that do not prevent reading.
func Open(ctx context.Context, r io.ReaderAt, size int64, opts Options) (*Disk, error) {
	f, err := findFooter(r, size)
	if err != nil {
		return nil, err
	}
	if err := f.check(); err != nil {
		return nil, err
	}
	virtual, err := f.virtualSize(opts.SizeByCHS)
	if err != nil {
		return nil, err
	}
	d := &Disk{fileSize: size, opts: opts, file: disk.File{R: r}, info: newInfo(f, virtual)}
	d.disk = disk.Disk{Format: "vhd", Size: virtual, Locate: d.locate, MetadataOnly: opts.MetadataOnly}
	d.bitmaps = disk.Pages{Format: "vhd", Size: chunkSize}
	d.opts.Key = nil
	if !opts.MetadataOnly {
		if err := opts.chain.Check("vhd", opts.ID, 0, "parent disk"); err != nil {
			return nil, err
		}
	}
	if f.diskType == typeFixed {
		err = d.openFixed(f, opts)
	} else {
		err = d.openDynamic(f, opts)
	}
	if err != nil {
		return nil, err
	}
	if opts.Key != nil && d.keyHash != nil && !opts.MetadataOnly {
		if err := d.Unlock(ctx, opts.Key); err != nil {
			return nil, err
		}
	}
	return d, nil
}

// openFixed checks that the disk fits in front of its footer.
func (d *Disk) openFixed(f *footer, opts Options) error {
	if f.isCopy {
		return f.formatError(offDiskType, "disk type", typeFixed,
			"3 (dynamic), as this footer is at the start of a file without a footer at its end: the file is truncated")
	}
	if d.disk.Size > f.off {
		return f.sizeError(opts.SizeByCHS,
			fmt.Sprintf("at most %d bytes, the length of the file in front of its footer", f.off))
	}
	if d.disk.Size < f.off {
		d.warnf("the file is larger than its disk: %d bytes between the end of the disk and the footer are ignored", f.off-d.disk.Size)
	}
	if f.dataOffset != noOffset && f.dataOffset != noOffset32 {
		d.warnf("the data offset of this fixed disk is %#x instead of the usual %#x; it is ignored", f.dataOffset, noOffset)
	}
	d.info.AllocatedBytes = d.disk.Size
	d.setRegions(f, nil)
	return nil
}

// openDynamic reads and checks the dynamic disk header and the block allocation table. It opens the
// parent of a differencing disk.
func (d *Disk) openDynamic(f *footer, opts Options) error {
	if err := d.compareCopy(f); err != nil {
		return err
	}
	h, err := readHeader(d.file.R, f)
	if err != nil {
		return err
	}
	if err := h.check(f); err != nil {
		return err
	}
	d.setRegions(f, h)
	if h.next != noOffset && h.next != noOffset32 {
		d.warnf("the data offset of the dynamic disk header is %#x instead of the usual %#x; it is ignored", h.next, noOffset)
	}
	d.blockSize = h.blockSize
	d.blockShift = uint(bits.TrailingZeros64(uint64(h.blockSize)))
	d.bitmapSize = h.bitmapSize()
	d.lsbFirst = f.lsbBitmaps()
	if d.bat, err = readTable(d.file.R, h, d.disk.Size); err != nil {
		return err
	}
	allocated, err := checkTable(d.bat, h)
	if err != nil {
		return err
	}
	d.describeBlocks(allocated)
	if err := d.readBatmap(h); err != nil {
		return err
	}
	if d.differencing = f.diskType == typeDifferencing; !d.differencing && opts.IgnoreBitmaps {
		return nil
	}
	d.states = make([]atomic.Uint32, (len(d.bat)+statesPerWord-1)/statesPerWord)
	if d.differencing {
		return d.openParent(h)
	}
	return d.sampleBitmaps(allocated)
}

// Size returns the virtual size in bytes, a multiple of 512.
func (d *Disk) Size() int64 { return d.disk.Size }

// ReadAt reads guest-visible bytes; see [io.ReaderAt]. If the file was truncated after Open, the
// error matches io.ErrUnexpectedEOF. If the disk is encrypted and locked, it returns
// [image.ErrLocked].
func (d *Disk) ReadAt(p []byte, off int64) (int, error) { return d.disk.ReadAt(p, off) }

func readFull(r io.ReaderAt, p []byte, off int64) (int, error) {
	return disk.ReadFull("vhd", r, p, off)
}
