// Package vhd reads Microsoft VHD disk images, fixed, dynamic and differencing, as
// the "Virtual Hard Disk Image Format Specification" 1.0 describes them and as
// Hyper-V, Virtual PC, Azure, XenServer and qemu write them, also those that
// XenServer's vhd-util has encrypted.
//
// Start with [Open], which gives a [Disk]: an image.Source with extents. [Detect]
// tells a VHD by its content, and [CheckFile] looks for what is wrong with one. The
// package never opens a file: a differencing disk, which is incomplete without its
// parent, gets that from [Options.Resolve], and is refused without it.
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

// sectorSize is what all sector numbers and bitmap bits of a VHD count, in bytes.
const sectorSize = 512

// Options changes how [Open] reads a disk. The zero value follows the
// specification and suits disks of Hyper-V, Azure, XenServer and qemu that are
// complete in themselves.
type Options struct {
	// Resolve gives the parent of a differencing disk. If it is nil, a disk that
	// has a parent is refused with an [image.RefusedError]. The names are what the parent
	// locators W2ru and W2ku say, with the separators of Windows, the first one relative to the
	// folder of the disk; and the one in the header, usually without the folder.
	Resolve func(image.Ref) (image.Source, error)

	// ID tells this file from all others, as an absolute path or the numbers of
	// device and inode do. A disk whose chain of parents leads back to the same ID
	// is refused. If it is empty, only the length of a chain is limited.
	ID string

	// Key is that of a disk that vhd-util has encrypted: 32 or 64 bytes. It is used
	// while Open runs and not kept; a disk that is not encrypted does not need it.
	// See also [Disk.Unlock].
	Key []byte

	// MetadataOnly opens a disk to be described and checked: Resolve is not called
	// and ReadAt and Extents fail.
	MetadataOnly bool

	// SizeByCHS takes the virtual size from the disk geometry (cylinders x heads
	// x sectors per track), as Virtual PC does and qemu does for creators that it
	// does not know, in place of the footer's current size. A geometry at its
	// maximum of 65535 x 16 x 255 says nothing of the size and is not used.
	SizeByCHS bool

	// IgnoreBitmaps reads allocated blocks of a dynamic disk whole, as qemu does,
	// in place of taking sectors whose bitmap bit is clear for zeros. It is for
	// disks whose writer did not maintain the sector bitmaps. The bitmaps of a
	// differencing disk are always used: they tell its sectors from its parent's.
	IgnoreBitmaps bool

	chain disk.Chain // the disks that this one is behind
}

// A Disk is an open VHD, seen as its guest sees it. It is an image.Source and an
// image.Extenter, and safe for concurrent use, but for Close. It holds the block
// allocation table in memory, 4 bytes a block.
type Disk struct {
	disk     disk.Disk // its Size is a multiple of sectorSize
	file     disk.File
	fileSize int64 // bytes
	opts     Options
	info     Info
	regions  []image.Region

	// What follows is for dynamic and differencing disks only; bat is nil for
	// fixed ones, which lie in the file from its first byte on.

	bat        []uint32 // by block: the sector of its bitmap, or absent
	blockSize  int64    // bytes, a power of two
	blockShift uint     // log2(blockSize)
	bitmapSize int64    // bytes that precede the data of a block
	lsbFirst   bool     // the lowest bit of a bitmap byte is its first sector

	// states caches, two bits a block, what the bitmap of the block holds. It is
	// nil when bitmaps are ignored.
	states  []atomic.Uint32
	bitmaps disk.Pages // of blocks of both kinds of sectors

	differencing bool

	keyHash *keyHash                   // nil if the disk is not encrypted
	cipher  atomic.Pointer[xts.Cipher] // nil while it is locked
}

var (
	_ image.Source   = (*Disk)(nil)
	_ image.Extenter = (*Disk)(nil)
)

// Open reads the metadata of the VHD of size bytes in r and checks it, so that a
// file that is truncated or inconsistent is refused here and not while its data is
// read. The Disk keeps r, which must allow concurrent ReadAt if the Disk is used
// concurrently, and must not change meanwhile. If r is an image.Extenter, such as
// a raw file with hole detection, a fixed disk passes its extents on.
//
// A file that breaks the rules of the format gives an *image.FormatError, which
// matches image.ErrFormat; a differencing disk an [image.RefusedError] if there is no
// [Options.Resolve]; a disk of more than 8388608 blocks, or a chain of more than 64
// parents, an error that matches image.ErrUnsupported. A wrong key is [ErrKey]. Other
// errors are those of r and of Resolve. What is odd but readable is in
// [Info.Warnings].
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
			"3 (dynamic) in a footer at the start of a file that has none at its end: the file is truncated")
	}
	if d.disk.Size > f.off {
		return f.sizeError(opts.SizeByCHS,
			fmt.Sprintf("at most %d bytes, which is what the file holds in front of its footer", f.off))
	}
	if d.disk.Size < f.off {
		d.warnf("the file is larger than its disk: %d bytes between the end of the disk and the footer are not read", f.off-d.disk.Size)
	}
	if f.dataOffset != noOffset && f.dataOffset != noOffset32 {
		d.warnf("the data offset of this fixed disk is %#x where %#x is usual; it is not used", f.dataOffset, noOffset)
	}
	d.info.AllocatedBytes = d.disk.Size
	d.setRegions(f, nil)
	return nil
}

// openDynamic reads and checks the dynamic disk header and the block allocation
// table, and gets the parent of a differencing disk.
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
		d.warnf("the data offset of the dynamic disk header is %#x where %#x is usual; it is not used", h.next, noOffset)
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

// ReadAt reads guest-visible bytes, as io.ReaderAt: at the virtual size it ends
// with io.EOF. A file that ends before the data that its metadata promised, which
// can happen only when it was cut after Open, gives an error that matches
// io.ErrUnexpectedEOF. Of an encrypted disk that is locked nothing can be read:
// [image.ErrLocked].
func (d *Disk) ReadAt(p []byte, off int64) (int, error) { return d.disk.ReadAt(p, off) }

func readFull(r io.ReaderAt, p []byte, off int64) (int, error) {
	return disk.ReadFull("vhd", r, p, off)
}
