package vhdx

import (
	"context"
	"encoding/binary"

	"github.com/luksimg/luksimg/internal/parallel"
	"github.com/luksimg/luksimg/internal/pieces"
	"github.com/luksimg/luksimg/internal/target"
)

// pieceSize is how much of the disk a worker takes at a time: a block at most, as it divides the
// size of all of them. zeroStep is the step in which zeros are told from data.
const (
	pieceSize = minBlockSize
	zeroStep  = 64 << 10
)

// A part is a piece of the disk.
type part struct {
	pieces.Piece
	data []byte // nil if it is all zeros
	host int64  // its place in the file
}

// blocks writes the blocks of the disk that are not all zeros, and the table. Workers read; then each
// waits until all that is in front of its piece in the disk has its place, or is zeros; and they
// write at the same time again. A block gets its place with its first piece of data.
func (w *writer) blocks(ctx context.Context, jobs int) error {
	w.table.dst = w.dst
	read := func(buf []byte, p *part) error {
		b, err := p.Read(w.src, buf)
		if err == nil && !pieces.IsZero(b) {
			p.data = b
		}
		return err
	}
	place := func(_ []byte, p *part) error {
		if p.data == nil {
			return nil
		}
		if block := p.Offset >> w.m.blockShift; block != w.block {
			w.block, w.host = block, w.end
			w.end += w.m.blockSize
			w.placed++
			if err := w.table.set(block, uint64(w.host)|statePresent); err != nil {
				return err
			}
		}
		p.host = w.host + p.Offset&(w.m.blockSize-1)
		return nil
	}
	write := func(_ []byte, p *part) error {
		if err := w.dst.WriteSparse(p.data, p.host); err != nil {
			return err
		}
		w.done(p.Disk)
		return nil
	}
	type step = parallel.Step[*part]
	parts := pieces.Data(ctx, pieces.Cut{Unit: zeroStep, Most: pieceSize}, w.src, w.m.size, w.done, func(p pieces.Piece) *part { return &part{Piece: p} })
	if err := parallel.InOrder(ctx, jobs, pieceSize, parts, step{Do: read}, step{Do: place, InOrder: true}, step{Do: write}); err != nil {
		return err
	}
	if err := w.table.finish(); err != nil {
		return err
	}
	return w.dst.Extend(w.end) // of the last block the end may be zeros
}

// A tableWriter writes the block allocation table (section 2.5) from its start to its end, as many of
// its entries at a time as a page has.
type tableWriter struct {
	dst   *target.File
	m     *metadata
	next  int64 // the first block without an entry
	first int64 // entry of the page
	page  [8 * pageSize]byte
}

// set sets the entry of a block. Those between the one before and this are of blocks of zeros.
func (t *tableWriter) set(block int64, e uint64) error {
	for ; t.next < block; t.next++ {
		if err := t.put(t.m.index(t.next), stateZero); err != nil {
			return err
		}
	}
	t.next = block + 1
	return t.put(t.m.index(block), e)
}

// put sets an entry, and writes the page before if it is in the next one. Entries of sector bitmaps
// are left out: zero is what they are in a disk without a parent.
func (t *tableWriter) put(index int64, e uint64) error {
	if index >= t.first+int64(len(t.page))/8 {
		if err := t.flush(); err != nil {
			return err
		}
	}
	binary.LittleEndian.PutUint64(t.page[8*(index-t.first):], e)
	return nil
}

// flush writes the page and goes on to the next.
func (t *tableWriter) flush() error {
	_, err := t.dst.WriteAt(t.page[:], tableOffset+8*t.first)
	clear(t.page[:])
	t.first += int64(len(t.page)) / 8
	return err
}

// finish sets the entries of the blocks after the last one in the file, and writes the last page.
func (t *tableWriter) finish() error {
	if blocks := t.m.blocks(); t.next < blocks {
		if err := t.set(blocks-1, stateZero); err != nil {
			return err
		}
	}
	return t.flush()
}
