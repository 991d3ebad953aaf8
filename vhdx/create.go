package vhdx

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"io"
	"iter"
	"math/bits"

	"github.com/luksimg/luksimg/image"
	guids "github.com/luksimg/luksimg/internal/guid"
	"github.com/luksimg/luksimg/internal/parallel"
	"github.com/luksimg/luksimg/internal/target"
)

// CreateOptions say what image [Create] makes. The zero value is what Hyper-V makes by default:
// blocks of 32 MiB, sectors of 512 bytes.
type CreateOptions struct {
	// BlockSize is the unit of allocation in bytes, a power of two from 1 MiB to 256 MiB. Zero is
	// 32 MiB.
	BlockSize int64

	// SectorSize is that of the disk's logical sectors in bytes, 512 or 4096: what a partition
	// table on it counts in. Zero is 512. Physical sectors have 4096 bytes.
	SectorSize int64

	// ID is the UUID of the disk; random if it is all zeros. The other two that a file has follow
	// from it, so that with it the same disk becomes the same file.
	ID [16]byte

	// Jobs is the number of workers; zero is one for each CPU. The image does not depend
	// on it.
	Jobs int

	// Progress, if not nil, is called with the number of bytes of the source done since
	// the last call, from several goroutines at a time. It must not block.
	Progress func(n int64)
}

// A CreateResult says what [Create] made.
type CreateResult struct {
	VirtualSize int64  // bytes: that of the source, up to the next multiple of the sector size
	FileSize    int64  // bytes
	BlockSize   int64  // bytes
	SectorSize  int64  // bytes
	Blocks      int64  // of the disk, in the file
	ID          string // a UUID
}

// Create writes the disk src as a dynamic VHDX to dst, which must be new, and read as zeros where
// nothing is written. Parts of src that are known to be zero are not read. Blocks of zeros take no
// room: their state is that of blocks that are zeros, as readers may give anything for blocks that are
// not present (MS-VHDX, 2.5.1.1). In other blocks runs of zeros are holes of the file. What it makes
// depends on src and the options alone. The log is empty.
//
// What makes the file a VHDX, its first bytes, is written last, after a Sync if dst has that method. If
// Create fails, or ctx is done, dst is no VHDX, and of no use. A disk of more than 64 TiB is
// [image.ErrTooLarge], and one of no bytes is refused, as readers do, before anything is written. It takes about 1 MiB of memory for each worker,
// whatever the size of the disk and of the blocks.
//
// dst must allow concurrent WriteAt of ranges that do not overlap, as an os.File does.
func Create(ctx context.Context, dst io.WriterAt, src image.Source, o CreateOptions) (*CreateResult, error) {
	w, err := newWriter(src.Size(), o)
	if err != nil {
		return nil, err
	}
	w.dst, w.src, w.done = &target.File{Format: "vhdx", W: dst}, src, parallel.Progress(o.Progress)
	for w.m.diskID == (guid{}) {
		var id [16]byte
		if _, err := rand.Read(id[:]); err != nil {
			return nil, fmt.Errorf("vhdx: random ID: %w", err)
		}
		w.m.diskID = guids.FromUUID(version(id, 4))
	}
	if err := w.blocks(ctx, parallel.Workers(o.Jobs)); err != nil {
		return nil, err
	}
	if err := w.metadata(); err != nil {
		return nil, err
	}
	return &CreateResult{VirtualSize: w.m.size, FileSize: w.end, BlockSize: w.m.blockSize, SectorSize: w.m.logicalSector, Blocks: w.placed, ID: w.m.diskID.String()}, nil
}

// CreateSize returns how long, in bytes, the file would be that [Create] makes of a disk of size
// bytes if exactly these blocks of it are not all zeros. They are numbered from the start of the
// disk and come in ascending order.
func CreateSize(size int64, used iter.Seq[int64], o CreateOptions) (int64, error) {
	w, err := newWriter(size, o)
	if err != nil {
		return 0, err
	}
	last := int64(-1)
	for i := range used {
		if i <= last || i >= w.m.blocks() {
			return 0, fmt.Errorf("vhdx: block %d after %d, of a disk that has %d", i, last, w.m.blocks())
		}
		last = i
		w.end += w.m.blockSize
	}
	return w.end, nil
}

// A writer is one run of Create.
type writer struct {
	dst    *target.File
	src    image.Source
	done   func(n int64)
	m      metadata
	table  tableWriter
	end    int64 // of the file so far
	placed int64 // blocks
	block  int64 // the one placed last; -1 for none
	host   int64 // where that is in the file
}

// newWriter checks the options for a disk of size bytes.
func newWriter(size int64, o CreateOptions) (*writer, error) {
	w := &writer{block: -1}
	m := &w.m
	m.blockSize, m.logicalSector, m.physicalSector = cmp.Or(o.BlockSize, 32*mib), cmp.Or(o.SectorSize, 512), 4096
	if b := m.blockSize; b < minBlockSize || b > maxBlockSize || b&(b-1) != 0 {
		return nil, fmt.Errorf("vhdx: block size %d, want a power of two from %d to %d", b, int64(minBlockSize), int64(maxBlockSize))
	}
	if m.logicalSector != 512 && m.logicalSector != 4096 {
		return nil, fmt.Errorf("vhdx: sector size %d, want 512 or 4096", m.logicalSector)
	}
	if size <= 0 {
		return nil, fmt.Errorf("vhdx: a disk of %d bytes: want one sector at least", size)
	}
	if size > maxDiskSize {
		return nil, fmt.Errorf("vhdx: a disk of %d bytes: %w", size, image.ErrTooLarge)
	}
	m.size = (size + m.logicalSector - 1) &^ (m.logicalSector - 1)
	m.blockShift = uint(bits.TrailingZeros64(uint64(m.blockSize)))
	m.setRatio()
	m.diskID = guids.FromUUID(o.ID)
	w.table.m = m
	w.end = tableOffset + w.tableLength()
	return w, nil
}

// version makes a UUID of random bytes, or of those of a hash (RFC 9562, section 4).
func version(id [16]byte, v byte) [16]byte {
	id[6] = id[6]&0x0f | v<<4
	id[8] = id[8]&0x3f | 0x80
	return id
}

// derived returns the GUID of something that a file has besides its disk: one that the hash of the
// disk's and of a name makes (RFC 9562, section 5.8).
func (w *writer) derived(name string) guid {
	sum := sha256.Sum256(append(w.m.diskID[:], name...))
	return guids.FromUUID(version([16]byte(sum[:]), 8))
}
