package qcow

import (
	"encoding/binary"
	"fmt"
	"io"

	"github.com/luksimg/luksimg/image"
)

// An allocator assigns consecutive clusters of a new image and writes the tables once they are
// full. It writes an L2 table when the disk moves on to the next one, and a refcount block when the
// file has grown past the clusters that the block counts. Its memory grows with the disk only by 8
// bytes per refcount block.
//
// The file has this order: the header, the encryption header, the L1 table; each L2 table in front
// of its data, with refcount blocks in between; the refcount table and the last blocks.
type allocator struct {
	*plan
	w          io.WriterAt
	next       int64 // offset past the last cluster in use
	tail       int64 // offset in the last cluster where compressed data continues, or 0
	luksOffset int64

	l1 struct { // the part of the table in memory
		first int64 // index of the first entry
		b     []byte
	}
	l2 struct {
		index  int64 // of its L1 entry; -1 before the first table
		offset int64
		b      []byte
	}
	// counts are the reference counts of the clusters whose refcount blocks are not written yet.
	counts []uint16
	block  []byte  // buffer for a block
	blocks []int64 // offsets of the blocks that were written
}

// maxHostOffset is the limit of cluster offsets (section "L2 table entries").
const maxHostOffset = 1 << 56

var errGrown = fmt.Errorf("qcow2: the file is too large for its cluster size: %w", image.ErrTooLarge)

func newAllocator(w io.WriterAt, p *plan) *allocator {
	a := &allocator{plan: p, w: w}
	a.grow(1)
	if p.luksSize > 0 {
		a.luksOffset = a.grow(p.luksSize)
	}
	if p.l1Size > 0 {
		a.l1Offset = a.grow(p.l1Size * 8)
	}
	a.l1.b = make([]byte, min(p.l1Size*8, 64<<10))
	a.l2.index = -1
	a.l2.b = make([]byte, p.clusterSize())
	a.block = make([]byte, p.clusterSize())
	return a
}

// grow allocates clusters for n bytes at the end of the file, with one reference each.
func (a *allocator) grow(n int64) int64 {
	off := a.next
	for end := off + n; a.next < end; a.next += a.clusterSize() {
		a.counts = append(a.counts, 1)
	}
	return off
}

// settle writes the refcount blocks whose clusters are all allocated.
func (a *allocator) settle() error {
	n := a.perBlock()
	for int64(len(a.counts)) >= n {
		if int64(len(a.blocks)) >= maxReftableBytes/8 || a.next >= maxHostOffset {
			return errGrown
		}
		if err := a.writeBlock(a.grow(1), a.counts[:n]); err != nil {
			return err
		}
		a.counts = a.counts[:copy(a.counts, a.counts[n:])]
		a.tail = 0 // the count of that cluster can already be written
	}
	return nil
}

func (a *allocator) writeBlock(off int64, counts []uint16) error {
	clear(a.block)
	for i, n := range counts {
		binary.BigEndian.PutUint16(a.block[2*i:], n)
	}
	a.blocks = append(a.blocks, off)
	_, err := a.w.WriteAt(a.block, off)
	return err
}

// cluster allocates a cluster for cluster i of the disk.
func (a *allocator) cluster(i int64) (int64, error) {
	if err := a.table(i); err != nil {
		return 0, err
	}
	off := a.grow(1)
	a.setEntry(i, uint64(off)|flagCopied)
	return off, a.settle()
}

// compressedCluster allocates space for cluster i of the disk, as n bytes of compressed data. n is
// less than a cluster. The space follows the previous compressed data or starts a new cluster.
func (a *allocator) compressedCluster(i, n int64) (int64, error) {
	if err := a.table(i); err != nil {
		return 0, err
	}
	cluster := a.clusterSize()
	off := a.tail
	room := -off & (cluster - 1) // up to the end of the cluster
	switch {
	case off != 0 && n <= room && *a.count(off) < 1<<16-1:
		*a.count(off)++
	case off != 0 && n > room && off+room == a.next && *a.count(off) < 1<<16-1:
		*a.count(off)++
		a.grow(1)
	default:
		off = a.grow(1)
	}
	if a.tail = off + n; a.tail&(cluster-1) == 0 {
		a.tail = 0
	}
	// Section "Compressed Clusters Descriptor".
	shift := 62 - (a.clusterBits - 8)
	if off >= 1<<shift {
		return 0, errGrown
	}
	sectors := (off+n-1)/512 - off/512
	a.setEntry(i, flagCompressed|uint64(sectors)<<shift|uint64(off))
	return off, a.settle()
}

// count returns a pointer to the reference count of the cluster that contains off.
func (a *allocator) count(off int64) *uint16 {
	return &a.counts[off>>a.clusterBits-int64(len(a.blocks))*a.perBlock()]
}

// table makes the L2 table of cluster i of the disk the current one.
func (a *allocator) table(i int64) error {
	index := i >> (a.clusterBits - 3)
	if index == a.l2.index {
		return nil
	}
	if err := a.writeTable(); err != nil {
		return err
	}
	a.l2.index, a.l2.offset = index, a.grow(1)
	for index >= a.l1.first+int64(len(a.l1.b))/8 {
		if err := a.writeL1(); err != nil {
			return err
		}
	}
	binary.BigEndian.PutUint64(a.l1.b[8*(index-a.l1.first):], uint64(a.l2.offset)|flagCopied)
	return a.settle()
}

func (a *allocator) setEntry(i int64, e uint64) {
	binary.BigEndian.PutUint64(a.l2.b[8*(i&(a.clusterSize()/8-1)):], e)
}

// writeTable writes the current L2 table, if any.
func (a *allocator) writeTable() error {
	if a.l2.index < 0 {
		return nil
	}
	_, err := a.w.WriteAt(a.l2.b, a.l2.offset)
	clear(a.l2.b)
	return err
}

// writeL1 writes the part of the L1 table in memory and advances to the next part.
func (a *allocator) writeL1() error {
	b := a.l1.b[:min(int64(len(a.l1.b)), 8*(a.l1Size-a.l1.first))]
	_, err := a.w.WriteAt(b, a.l1Offset+8*a.l1.first)
	clear(b)
	a.l1.first += int64(len(b)) / 8
	return err
}

// finish writes the remaining tables and returns the length of the file.
func (a *allocator) finish() (int64, error) {
	if err := a.writeTable(); err != nil {
		return 0, err
	}
	for a.l1.first < a.l1Size {
		if err := a.writeL1(); err != nil {
			return 0, err
		}
	}
	// The last blocks also count themselves and the refcount table.
	var blocks int64
	for fits := false; !fits; {
		blocks++
		a.reftableLen = ((int64(len(a.blocks))+blocks)*8-1)>>a.clusterBits + 1
		fits = int64(len(a.counts))+a.reftableLen+blocks <= blocks*a.perBlock()
	}
	if int64(len(a.blocks))+blocks > maxReftableBytes/8 || a.next > maxHostOffset-maxReftableBytes*2 {
		return 0, errGrown
	}
	a.reftable = a.grow(a.reftableLen << a.clusterBits)
	first := a.grow(blocks << a.clusterBits)
	n := a.perBlock()
	for i := range blocks {
		part := a.counts[min(i*n, int64(len(a.counts))):min((i+1)*n, int64(len(a.counts)))]
		if err := a.writeBlock(first+i<<a.clusterBits, part); err != nil {
			return 0, err
		}
	}
	b := make([]byte, a.reftableLen<<a.clusterBits)
	for i, off := range a.blocks {
		binary.BigEndian.PutUint64(b[8*i:], uint64(off))
	}
	_, err := a.w.WriteAt(b, a.reftable)
	return a.next, err
}
