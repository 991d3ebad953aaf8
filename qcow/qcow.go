// Package qcow reads qcow2 disk images of versions 2 and 3, as the qcow2
// specification (docs/interop/qcow2 in QEMU) describes them: with compressed
// clusters, extended L2 entries, internal snapshots, encryption, backing files and
// external data files. It makes new images of version 3, which may be compressed or
// encrypted.
//
// To read, start with [Open], which gives a [Disk]: an image.Source with extents.
// [Detect] tells a qcow2 file by its content. To write, use [Create]. The package never
// opens a file: an image that is incomplete without other files gets them from
// [Options.Resolve], and is refused without it.
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

// ErrSnapshot means that the image has no internal snapshot of that ID or name. Match with [errors.Is].
var ErrSnapshot = errors.New("no such snapshot")

// Options changes how [Open] reads an image. The zero value is right for images of
// unknown origin that are complete in themselves.
type Options struct {
	// Resolve gives the backing file or the external data file that an image
	// names. If it is nil, an image that needs one is refused with an
	// [image.RefusedError].
	Resolve func(image.Ref) (image.Source, error)

	// ID tells this file from all others, as an absolute path or the numbers of
	// device and inode do. An image whose chain of backing files leads back to the
	// same ID is refused. If it is empty, only the length of a chain is limited.
	ID string

	// Key is the passphrase of an encrypted image, each byte of it. It is used
	// while Open runs and not kept. See also [Disk.Unlock].
	Key []byte

	// KeyLimits bounds what the key derivation of an image encrypted with LUKS may
	// cost. Its Accept decides when the image is opened, with a key or without one.
	KeyLimits luks.OpenOptions

	// Snapshot, if not empty, is the ID or else the name of the internal snapshot
	// to open in place of the current state of the disk.
	Snapshot string

	// MetadataOnly opens an image to be described and checked: Resolve is not
	// called and ReadAt and Extents fail.
	MetadataOnly bool

	chain disk.Chain // the images that this one is behind
}

// A Disk is an open qcow2 image, seen as its guest sees it. It is an image.Source
// and an image.Extenter, and safe for concurrent use, but for Close. In memory it
// holds the L1 table, 8 bytes for each L2 table, up to 2 MiB of L2 tables, and a few
// decompressed clusters.
type Disk struct {
	disk      disk.Disk
	file      disk.File // the image
	data      disk.File // where data clusters are: the image, or the external data file
	dataEnd   int64     // how many bytes it has
	h         *header
	opts      Options
	snapshots []Snapshot
	metaEnd   int64 // of the snapshot table
	warnings  []string

	l1       []uint64
	l1Offset int64      // where it is in the file
	pages    disk.Pages // of L2 tables

	cipher atomic.Pointer[sectorCipher] // nil while locked
}

var (
	_ image.Source   = (*Disk)(nil)
	_ image.Extenter = (*Disk)(nil)
)

// Open reads the header, the snapshot table and the L1 table of the image of size
// bytes in r. L2 tables are read and checked as they are needed. The Disk keeps r,
// which must allow concurrent ReadAt if the Disk is used concurrently, and must not
// change meanwhile. If r is an image.Extenter, such as a raw file with hole
// detection, holes in the file are holes of the disk.
//
// A file that breaks the rules of the format gives an *image.FormatError, which
// matches image.ErrFormat; one with features that are not known here an error that
// matches image.ErrUnsupported; one that needs another file an [image.RefusedError] if
// there is no [Options.Resolve]. A wrong key is luks.ErrPassphrase. The context ends the
// derivation of a key. Other errors are those of r and of Resolve. What is odd but readable is in [Info.Warnings].
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
		if h.dataFile() { // whose length is not known
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

// Size returns the virtual size in bytes. It need not be a multiple of anything.
func (d *Disk) Size() int64 { return d.disk.Size }

// ReadAt reads guest-visible bytes, as io.ReaderAt: at the virtual size it ends
// with io.EOF. Clusters that are next to each other in the file are read at once.
// Of an encrypted disk that is locked nothing can be read: [image.ErrLocked].
func (d *Disk) ReadAt(p []byte, off int64) (int, error) { return d.disk.ReadAt(p, off) }

// locked tells whether the key of an encrypted disk is missing.
func (d *Disk) locked() error {
	if d.cipher.Load() == nil {
		return fmt.Errorf("qcow2: %w", image.ErrLocked)
	}
	return nil
}

func readFull(r io.ReaderAt, p []byte, off int64) (int, error) {
	return disk.ReadFull("qcow2", r, p, off)
}
