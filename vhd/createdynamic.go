package vhd

import (
	"context"
	"encoding/binary"
	"fmt"
	"iter"

	"github.com/luksimg/luksimg/image"
	"github.com/luksimg/luksimg/internal/parallel"
	"github.com/luksimg/luksimg/internal/pieces"
	"github.com/luksimg/luksimg/xts"
)

// A block is a part of the disk that can have data.
type block struct {
	pieces.Piece
	place int64 // offset in the file; -1 if all zeros
}

// data yields the parts of the disk up to end, of size bytes each, in which the extents of the
// source report data. It counts all other parts as done.
func (w *writer) data(ctx context.Context, size, end int64) iter.Seq2[*block, error] {
	return pieces.Data(ctx, pieces.Cut{Unit: size, Most: size}, w.src, end, w.done, func(p pieces.Piece) *block { return &block{Piece: p, place: -1} })
}

// dynamic writes a dynamic disk.
func (w *writer) dynamic(ctx context.Context, key []byte) error {
	w.table = make([]byte, w.tableBytes())
	for i := range w.table {
		w.table[i] = 0xff
	}
	w.end = w.metaEnd()
	if err := w.writeBlocks(ctx, key); err != nil {
		return err
	}
	if _, err := w.dst.WriteAt(w.table, tableStart); err != nil {
		return err
	}
	if w.encrypted {
		if _, err := w.dst.WriteAt(w.batmap(), tableStart+w.tableBytes()); err != nil {
			return err
		}
	}
	if _, err := w.dst.WriteAt(w.header(), footerSize); err != nil {
		return err
	}
	if err := w.dst.Sync(); err != nil {
		return err
	}
	footer := w.footer()
	if _, err := w.dst.WriteAt(footer, 0); err != nil {
		return err
	}
	w.result.FileSize = w.end + footerSize
	_, err := w.dst.WriteAt(footer, w.end)
	return err
}

// writeBlocks writes all blocks that are not all zeros and fills in the table.
func (w *writer) writeBlocks(ctx context.Context, key []byte) error {
	var c *xts.Cipher
	if w.encrypted {
		var err error
		if c, err = newSectorCipher(key); err != nil {
			return fmt.Errorf("vhd: %w", err)
		}
		defer c.Close()
	}
	size, bitmap := w.span(), w.bitmapBytes()
	read := func(buf []byte, b *block) error {
		p, err := b.Read(w.src, buf[bitmap:])
		b.Zero = err == nil && pieces.IsZero(p)
		return err
	}
	place := func(_ []byte, b *block) error {
		if b.Zero {
			return nil
		}
		if b.place = w.place(w.end); b.place+size > maxFile {
			return fmt.Errorf("vhd: file size exceeds %d: %w", int64(maxFile), image.ErrTooLarge)
		}
		w.end = b.place + size
		binary.BigEndian.PutUint32(w.table[4*(b.Offset/w.blockSize):], uint32(b.place/sectorSize))
		w.result.Blocks++
		return nil
	}
	write := func(buf []byte, b *block) error {
		if b.place >= 0 {
			if err := w.writeBlock(c, buf, b.place, b.Offset); err != nil {
				return err
			}
		}
		w.done(b.Disk)
		return nil
	}
	type step = parallel.Step[*block]
	return parallel.InOrder(ctx, w.jobs(size), int(size), w.data(ctx, w.blockSize, w.blocks*w.blockSize),
		step{Do: read}, step{Do: place, InOrder: true}, step{Do: write})
}

// writeBlock writes a block. buf holds the bitmap and the data of the block.
func (w *writer) writeBlock(c *xts.Cipher, buf []byte, place, off int64) error {
	bitmap := buf[:w.bitmapBytes()]
	used := bitmap[:w.blockSize/sectorSize/8]
	for i := range used {
		used[i] = 0xff
	}
	clear(bitmap[len(used):])
	if c == nil {
		return w.dst.WriteSparse(buf, place)
	}
	data := buf[len(bitmap):]
	c.Encrypt(data, data, uint64(off/sectorSize))
	_, err := w.dst.WriteAt(buf, place)
	return err
}
