package vmdk

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"io"

	"github.com/luksimg/luksimg/image"
	"github.com/luksimg/luksimg/internal/parallel"
	"github.com/luksimg/luksimg/internal/target"
)

// CreateOptions configure [Create] and [CreateInOrder]. The zero value is right for most callers.
type CreateOptions struct {
	// CID is the content ID in the descriptor, by which a delta disk identifies its parent. If it
	// is zero, it is random.
	CID uint32

	// Jobs is the number of workers; zero means one per CPU. It does not affect the image.
	Jobs int

	// Progress, if not nil, is called with the number of bytes of the source done since the last
	// call. Calls can be concurrent. It must not block.
	Progress func(n int64)
}

// A CreateResult describes the image that [Create] or [CreateInOrder] made.
type CreateResult struct {
	VirtualSize     int64  // bytes: size of the source, rounded up to a multiple of 512
	FileSize        int64  // bytes
	AllocatedGrains int64  // grains of 64 KiB that are in the file
	CID             string // hexadecimal
}

// Create writes the disk src to dst as a streamOptimized VMDK, the format in an OVA and for import
// into vSphere. dst must be empty: Create does not write the gaps in the format. It must support
// concurrent WriteAt of ranges that do not overlap, as an os.File does.
//
// Create compresses grains of 64 KiB with deflate. It does not read parts of src that are known to
// be zero, and does not store grains of zeros. The image depends only on src and the content ID.
//
// Create writes the header last, after a Sync if dst has that method. If it fails, or ctx is done,
// dst is not a VMDK and is useless. It refuses an empty disk. A disk of more than 128 TiB is
// [image.ErrTooLarge], as is one whose file would exceed 2 TiB, the limit of the format. Create
// uses about 4 MiB of memory per worker, and 4 bytes per 32 MiB of the disk.
func Create(ctx context.Context, dst io.WriterAt, src image.Source, o CreateOptions) (*CreateResult, error) {
	w, err := newWriter(src, o)
	if err != nil {
		return nil, err
	}
	f := &target.File{Format: "vmdk", W: dst}
	w.put = func(p []byte, off int64) error {
		_, err := f.WriteAt(p, off)
		return err
	}
	if err := w.put(w.descriptorArea(), sectorSize); err != nil {
		return nil, err
	}
	if err := w.body(ctx); err != nil {
		return nil, err
	}
	if err := f.Sync(); err != nil {
		return nil, err
	}
	if err := w.put(w.header(directoryAtEnd), 0); err != nil {
		return nil, err
	}
	return &w.result, nil
}

// CreateInOrder writes the same image as [Create] to dst sequentially, so dst can be a pipe. If it
// fails, the output is incomplete. It cannot be cancelled while a Write to dst blocks.
func CreateInOrder(ctx context.Context, dst io.Writer, src image.Source, o CreateOptions) (*CreateResult, error) {
	w, err := newWriter(src, o)
	if err != nil {
		return nil, err
	}
	w.inOrder = true
	w.put = func(p []byte, _ int64) error {
		_, err := dst.Write(p)
		return err
	}
	start := make([]byte, overHead)
	copy(start, w.header(directoryAtEnd))
	copy(start[sectorSize:], w.descriptorArea())
	if err := w.put(start, 0); err != nil {
		return nil, err
	}
	if err := w.body(ctx); err != nil {
		return nil, err
	}
	return &w.result, nil
}

// A writer holds the state of one call of Create or CreateInOrder.
type writer struct {
	src     image.Source
	put     func(p []byte, off int64) error // writes to the file
	inOrder bool                            // put must be called in the order of the file
	jobs    int
	done    func(n int64)
	cid     uint32
	result  CreateResult

	// The metadata so far, which the allocation of grains maintains.
	next      int64    // end of the file
	directory []uint32 // sectors of the grain tables
	table     []byte   // the current grain table
	index     int      // index of table in the directory; -1 for none
}

// Create writes grains of 64 KiB and tables of 512 entries, the only sizes that VMware reads.
const (
	grainSectors = 128
	grainSize    = grainSectors * sectorSize
	tableEntries = 512
	tableSize    = 4 * tableEntries
	tableSpan    = tableEntries * grainSize // bytes of the disk that a table covers

	// overHead is the offset of the first grain, a multiple of the grain size as in VMware's files.
	overHead = grainSize

	// maxFile limits the size of the file: sector numbers have 32 bits.
	maxFile = sectorSize << 32
)

// newWriter checks the options and the size of the disk.
func newWriter(src image.Source, o CreateOptions) (*writer, error) {
	size := src.Size()
	switch {
	case size <= 0:
		return nil, fmt.Errorf("vmdk: disk size %d, want at least one sector", size)
	case o.CID == noParent:
		return nil, fmt.Errorf("vmdk: content ID %s is reserved for disks without a parent", hexCID(o.CID))
	case size > maxDirectory*tableSpan:
		return nil, fmt.Errorf("vmdk: disk size %d: %w", size, image.ErrTooLarge)
	}
	w := &writer{src: src, jobs: parallel.Workers(o.Jobs), done: parallel.Progress(o.Progress), cid: o.CID, next: overHead, index: -1}
	// VMware reserves the two highest values for "no parent" and "no content ID yet".
	for w.cid == 0 || o.CID == 0 && w.cid >= noParent-1 {
		var b [4]byte
		if _, err := rand.Read(b[:]); err != nil {
			return nil, fmt.Errorf("vmdk: random content ID: %w", err)
		}
		w.cid = binary.LittleEndian.Uint32(b[:])
	}
	w.result.VirtualSize = (size + sectorSize - 1) &^ (sectorSize - 1)
	w.result.CID = hexCID(w.cid)
	w.directory = make([]uint32, (size-1)/tableSpan+1)
	w.table = make([]byte, tableSize)
	return w, nil
}
