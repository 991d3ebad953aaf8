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

// CreateOptions configure [Create]. The zero value creates what Hyper-V creates by default: blocks
// of 32 MiB and sectors of 512 bytes.
type CreateOptions struct {
	// BlockSize is the unit of allocation in bytes, a power of two from 1 MiB to 256 MiB. Zero
	// means 32 MiB.
	BlockSize int64

	// SectorSize is the size of the disk's logical sectors in bytes, 512 or 4096. Partition tables
	// count these sectors. Zero means 512. Physical sectors have 4096 bytes.
	SectorSize int64

	// ID is the UUID of the disk; random if all zeros. The two other UUIDs of a file are derived
	// from it, so the same disk and ID give the same file.
	ID [16]byte

	// Jobs is the number of workers; zero means one per CPU. It does not affect the image.
	Jobs int

	// Progress, if not nil, is called with the number of bytes of the source done since the last
	// call. Calls can be concurrent. It must not block.
	Progress func(n int64)
}

// A CreateResult describes the image that [Create] made.
type CreateResult struct {
	VirtualSize int64  // bytes: size of the source, rounded up to a multiple of the sector size
	FileSize    int64  // bytes
	BlockSize   int64  // bytes
	SectorSize  int64  // bytes
	Blocks      int64  // blocks of the disk that are in the file
	ID          string // a UUID
}

// Create writes the disk src as a dynamic VHDX to dst. dst must be empty, and its unwritten parts
// must read as zeros. It must support concurrent WriteAt of ranges that do not overlap, as an
// os.File does.
//
// Create does not read parts of src that are known to be zero. It does not allocate blocks of
// zeros, and gives them the state zero: blocks that are not present could have any content
// (MS-VHDX, section 2.5.1.1). Runs of zeros in other blocks are holes of the file. The image
// depends only on src and the options. The log is empty.
//
// Create writes the first bytes, which identify the file as a VHDX, last, after a Sync if dst has
// that method. If it fails, or ctx is done, dst is not a VHDX and is useless. It refuses an empty
// disk, as readers do, and one of more than 64 TiB with [image.ErrTooLarge], before it writes
// anything. It uses about 1 MiB of memory per worker, whatever the size of the disk and of the
// blocks.
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

// CreateSize returns the length in bytes of the file that [Create] would make of a disk of size
// bytes. used are the numbers of the blocks that are not all zeros, in ascending order.
func CreateSize(size int64, used iter.Seq[int64], o CreateOptions) (int64, error) {
	w, err := newWriter(size, o)
	if err != nil {
		return 0, err
	}
	last := int64(-1)
	for i := range used {
		if i <= last || i >= w.m.blocks() {
			return 0, fmt.Errorf("vhdx: block %d follows block %d, want ascending numbers below %d", i, last, w.m.blocks())
		}
		last = i
		w.end += w.m.blockSize
	}
	return w.end, nil
}

// A writer holds the state of one call of Create.
type writer struct {
	dst    *target.File
	src    image.Source
	done   func(n int64)
	m      metadata
	table  tableWriter
	end    int64 // end of the file so far
	placed int64 // number of blocks allocated
	block  int64 // the block allocated last; -1 for none
	host   int64 // offset of that block in the file
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
		return nil, fmt.Errorf("vhdx: disk size %d, want at least one sector", size)
	}
	if size > maxDiskSize {
		return nil, fmt.Errorf("vhdx: disk size %d: %w", size, image.ErrTooLarge)
	}
	m.size = (size + m.logicalSector - 1) &^ (m.logicalSector - 1)
	m.blockShift = uint(bits.TrailingZeros64(uint64(m.blockSize)))
	m.setRatio()
	m.diskID = guids.FromUUID(o.ID)
	w.table.m = m
	w.end = tableOffset + w.tableLength()
	return w, nil
}

// version sets the version and variant bits of a UUID (RFC 9562, section 4).
func version(id [16]byte, v byte) [16]byte {
	id[6] = id[6]&0x0f | v<<4
	id[8] = id[8]&0x3f | 0x80
	return id
}

// derived returns a further GUID of the file, derived from the disk's UUID and a name by a hash
// (RFC 9562, section 5.8).
func (w *writer) derived(name string) guid {
	sum := sha256.Sum256(append(w.m.diskID[:], name...))
	return guids.FromUUID(version([16]byte(sum[:]), 8))
}
