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

// CreateOptions say how [Create] and [CreateInOrder] make an image. The zero value is right.
type CreateOptions struct {
	// CID is the content ID in the descriptor, by which a delta disk knows its parent. Zero is
	// a random one.
	CID uint32

	// Jobs is the number of workers; zero is one for each CPU. The image does not depend
	// on it.
	Jobs int

	// Progress, if not nil, is called with the number of bytes of the source done since
	// the last call, from several goroutines at a time. It must not block.
	Progress func(n int64)
}

// A CreateResult says what [Create] or [CreateInOrder] made.
type CreateResult struct {
	VirtualSize     int64  // bytes: that of the source, up to the next multiple of 512
	FileSize        int64  // bytes
	AllocatedGrains int64  // of 64 KiB of the disk each, in the file
	CID             string // hexadecimal
}

// Create writes the disk src as a streamOptimized VMDK, which is what an OVA has and vSphere
// imports, to dst, which must be new: nothing is written where the format leaves a gap. Grains of
// 64 KiB are compressed with deflate. Parts of src that are known to be zero are not read, and
// grains of zeros take no room. What it makes depends on src and the content ID alone.
//
// The header is written last, after a Sync if dst has that method. If Create fails, or ctx is
// done, dst is no VMDK, and of no use. A disk of no bytes is refused. One of more than 128 TiB is
// [image.ErrTooLarge], and so is one whose file would be longer than 2 TiB, the most that the
// format has numbers for. It takes about 4 MiB of memory for each worker, and 4 bytes for each
// 32 MiB of the disk.
//
// dst must allow concurrent WriteAt of ranges that do not overlap, as an os.File does.
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

// CreateInOrder writes the same image as [Create] to dst from its start to its end, as for a pipe.
// If it fails, what was written is not whole. It does not stop while dst does not take what is
// written.
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

// A writer is one run of Create or CreateInOrder.
type writer struct {
	src     image.Source
	put     func(p []byte, off int64) error // writes to the file
	inOrder bool                            // put wants each byte behind the one before it
	jobs    int
	done    func(n int64)
	cid     uint32
	result  CreateResult

	// The metadata so far: it is known to the step that gives grains their places.
	next      int64    // the end of the file
	directory []uint32 // by grain table: its sector
	table     []byte   // the current grain table
	index     int      // of it in the directory; -1 for none
}

// What is written: grains of 64 KiB and tables of 512 entries, which is all that VMware reads.
const (
	grainSectors = 128
	grainSize    = grainSectors * sectorSize
	tableEntries = 512
	tableSize    = 4 * tableEntries
	tableSpan    = tableEntries * grainSize // of the disk

	// overHead is where grains start, as VMware has it: at a multiple of their size.
	overHead = grainSize

	// maxFile bounds the file: sectors have numbers of 32 bits.
	maxFile = sectorSize << 32
)

// newWriter checks the options and the size of the disk.
func newWriter(src image.Source, o CreateOptions) (*writer, error) {
	size := src.Size()
	switch {
	case size <= 0:
		return nil, fmt.Errorf("vmdk: disk size %d, want at least one sector", size)
	case o.CID == noParent:
		return nil, fmt.Errorf("vmdk: content ID %s, which is that of no disk", hexCID(o.CID))
	case size > maxDirectory*tableSpan:
		return nil, fmt.Errorf("vmdk: disk size %d: %w", size, image.ErrTooLarge)
	}
	w := &writer{src: src, jobs: parallel.Workers(o.Jobs), done: parallel.Progress(o.Progress), cid: o.CID, next: overHead, index: -1}
	// VMware takes the last two numbers for no parent, and for no content ID yet.
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
