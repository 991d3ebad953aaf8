// Package qcow reads qcow2 disk images of versions 2 and 3, following the specification in
// docs/interop/qcow2 of QEMU. It supports compressed clusters, extended L2 entries, internal
// snapshots, encryption, backing files and external data files. It also creates images of version
// 3, optionally compressed or encrypted.
//
// [Open] returns a [Disk], an image.Source with extents. [Detect] recognizes a qcow2 file by its
// content. [Create] writes a new image. The package never opens a file: [Options.Resolve] supplies
// the other files that an image needs. Without it, such an image is refused.
package qcow

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"sync/atomic"

	"github.com/luksimg/luksimg/image"
	"github.com/luksimg/luksimg/internal/disk"
	"github.com/luksimg/luksimg/luks"
)

// ErrSnapshot means that the image has no internal snapshot with that ID or name. Match it with
// [errors.Is].
var ErrSnapshot = errors.New("no such snapshot")

// Options configure [Open]. The zero value is right for images of unknown origin that need no other
// files.
type Options struct {
	// Resolve returns the backing file or the external data file that an image names. If it is nil,
	// an image that needs another file is refused with an [image.RefusedError].
	Resolve func(image.Ref) (image.Source, error)

	// ID identifies this file, such as an absolute path or the device and inode numbers. An image
	// whose chain of backing files leads back to the same ID is refused. If ID is empty, only the
	// length of the chain is limited.
	ID string

	// Key is the passphrase of an encrypted image. Open uses it and does not keep it. See also
	// [Disk.Unlock].
	Key []byte

	// KeyLimits bounds the cost of the key derivation of an image encrypted with LUKS. Open calls
	// its Accept with or without a key.
	KeyLimits luks.OpenOptions

	// Snapshot, if not empty, is the ID or the name of an internal snapshot to open in place of the
	// current disk. The ID takes precedence.
	Snapshot string

	// MetadataOnly opens an image only to describe and check it. Resolve is not called, and ReadAt
	// and Extents fail.
	MetadataOnly bool

	chain disk.Chain // the images in front of this one
}

// A Disk is an open qcow2 image as its guest sees it. It is an image.Source and an image.Extenter,
// and safe for concurrent use, except for Close. It holds in memory the L1 table, 8 bytes per L2
// table, up to 2 MiB of L2 tables, and a few decompressed clusters.
type Disk struct {
	disk      disk.Disk
	file      disk.File // the image
	data      disk.File // file with the data clusters: the image or the external data file
	dataEnd   int64     // length of data in bytes
	h         *header
	opts      Options
	snapshots []Snapshot
	metaEnd   int64 // end of the snapshot table
	warnings  []string

	l1       []uint64
	l1Offset int64      // offset of the L1 table in the file
	pages    disk.Pages // cache of L2 tables

	cipher atomic.Pointer[sectorCipher] // nil while locked
}

var (
	_ image.Source   = (*Disk)(nil)
	_ image.Extenter = (*Disk)(nil)
)

// Open opens the image of size bytes in r. It reads the header, the snapshot table and the L1
// table. L2 tables are read and checked when they are needed. The Disk keeps r, which must not
// change and must support concurrent ReadAt if the Disk is used concurrently. If r is an
// image.Extenter, such as a raw file that reports its holes, holes in the file are holes of the
// disk.
//
// A malformed file returns an *image.FormatError, which matches image.ErrFormat. Unknown features
// match image.ErrUnsupported. An image that needs another file returns an [image.RefusedError] if
// [Options.Resolve] is nil. If the key is wrong, the error is luks.ErrPassphrase. ctx ends the key
// derivation. Other errors are those of r and of Resolve. [Info.Warnings] lists oddities that do
// not prevent reading.
func Open(ctx context.Context, r io.ReaderAt, size int64, opts Options) (*Disk, error) {
	h, err := readHeader(r, size)
	if err != nil {
		return nil, err
	}
	d := &Disk{h: h, opts: opts, file: disk.File{R: r}, dataEnd: size}
	d.opts.Key = nil
	d.data = disk.File{R: r, Opaque: h.crypt != cryptNone}
	d.pages = disk.Pages{Format: "qcow2", Size: min(h.clusterSize(), maxPage)}
	d.disk = disk.Disk{Format: "qcow2", Size: h.size, Locate: d.locate, MetadataOnly: opts.MetadataOnly,
		Unpack: d.decompress, Units: disk.NewCache(h.clusterSize())}
	if h.compression != compressionZstd {
		d.disk.UnpackAll = d.inflateAll
	}
	if h.crypt != cryptNone {
		d.disk.Locked, d.disk.ReadData = d.locked, d.readEncrypted
	}
	if d.snapshots, d.metaEnd, err = readSnapshots(r, h); err != nil {
		return nil, err
	}
	l1Offset := h.l1Offset
	if opts.Snapshot != "" {
		s, err := findSnapshot(d.snapshots, opts.Snapshot)
		if err != nil {
			return nil, err
		}
		if err := s.checkL1(h); err != nil {
			return nil, err
		}
		d.disk.Size, l1Offset = s.VirtualSize, s.l1Offset
	}
	if err := d.readL1(l1Offset); err != nil {
		return nil, err
	}
	d.warn()
	if opts.KeyLimits.Accept != nil && h.crypt == cryptLUKS {
		if _, err := d.luksHeader(); err != nil {
			return nil, err
		}
	}
	if opts.MetadataOnly {
		if h.dataFile() { // its length is unknown
			d.dataEnd = math.MaxInt64
		}
		return d, nil
	}
	if err := d.resolve(); err != nil {
		return nil, err
	}
	if opts.Key != nil && h.crypt != cryptNone {
		if err := d.Unlock(ctx, opts.Key); err != nil {
			return nil, err
		}
	}
	return d, nil
}

// Size returns the virtual size in bytes. It need not be a multiple of a sector.
func (d *Disk) Size() int64 { return d.disk.Size }

// ReadAt reads guest-visible bytes; see [io.ReaderAt]. It joins clusters that are adjacent in the
// file into one read. If the disk is encrypted and locked, it returns [image.ErrLocked].
func (d *Disk) ReadAt(p []byte, off int64) (int, error) { return d.disk.ReadAt(p, off) }

// locked returns an error if the disk is encrypted and has no key.
func (d *Disk) locked() error {
	if d.cipher.Load() == nil {
		return fmt.Errorf("qcow2: %w", image.ErrLocked)
	}
	return nil
}

func readFull(r io.ReaderAt, p []byte, off int64) (int, error) {
	return disk.ReadFull("qcow2", r, p, off)
}
