package vhdx

import (
	"context"
	"encoding/binary"

	"github.com/luksimg/luksimg/internal/parallel"
	"github.com/luksimg/luksimg/internal/pieces"
	"github.com/luksimg/luksimg/internal/target"
)

// pieceSize is the number of bytes of the disk that a worker processes at a time. It divides all
// block sizes. zeroStep is the unit in which zeros are detected.
const (
	pieceSize = minBlockSize
	zeroStep  = 64 << 10
)

// A part is a piece of the disk.
type part struct {
	pieces.Piece
	data []byte // nil if all zeros
	host int64  // offset in the file
}

// blocks writes the blocks of the disk that are not all zeros, and the table. Workers read pieces
// concurrently. Each waits until all earlier pieces are allocated or known to be zeros. Writing is
// concurrent again. The first piece with data allocates its block.
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
	return w.dst.Extend(w.end) // the last block can end with zeros
}

// A tableWriter writes the block allocation table (section 2.5) in order, one page of entries at a
// time.
type tableWriter struct {
	dst   *target.File
	m     *metadata
	next  int64 // next block without an entry
	first int64 // first entry of the page
	page  [8 * pageSize]byte
}

// set sets the entry of a block. It marks the blocks since the previous call as zeros.
func (t *tableWriter) set(block int64, e uint64) error {
	for ; t.next < block; t.next++ {
		if err := t.put(t.m.index(t.next), stateZero); err != nil {
			return err
		}
	}
	t.next = block + 1
	return t.put(t.m.index(block), e)
}

// put sets an entry. It first writes the current page if the entry is in the next one. It skips the
// entries of sector bitmaps, which are zero in a disk without a parent.
func (t *tableWriter) put(index int64, e uint64) error {
	if index >= t.first+int64(len(t.page))/8 {
		if err := t.flush(); err != nil {
			return err
		}
	}
	binary.LittleEndian.PutUint64(t.page[8*(index-t.first):], e)
	return nil
}

// flush writes the page and advances to the next.
func (t *tableWriter) flush() error {
	_, err := t.dst.WriteAt(t.page[:], tableOffset+8*t.first)
	clear(t.page[:])
	t.first += int64(len(t.page)) / 8
	return err
}

// finish sets the entries of the remaining blocks and writes the last page.
func (t *tableWriter) finish() error {
	if blocks := t.m.blocks(); t.next < blocks {
		if err := t.set(blocks-1, stateZero); err != nil {
			return err
		}
	}
	return t.flush()
}
