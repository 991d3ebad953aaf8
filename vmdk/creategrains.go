package vmdk

import (
	"context"
	"encoding/binary"
	"fmt"

	"github.com/luksimg/luksimg/image"
	"github.com/luksimg/luksimg/internal/parallel"
	"github.com/luksimg/luksimg/internal/pieces"
)

// batchSize is the number of bytes of the disk that a worker processes at a time. A batch has whole
// grains of a single grain table.
const batchSize = 1 << 20

// A batch is a sequence of grains of the disk.
type batch struct {
	pieces.Piece
	packer *packer
	table  []byte // the grain table in front of the grains in the file, or nil
	place  int64  // offset of table and grains in the file
}

// body writes the grains and everything after them. Workers read and compress batches concurrently.
// Each waits until all earlier batches are allocated. Writing is concurrent again, unless it must
// be in order.
func (w *writer) body(ctx context.Context) error {
	jobs := w.jobs
	if w.inOrder {
		jobs++ // one can wait for the pipe while the others work
	}
	packers := make(chan *packer, jobs) // one per worker, created on first use
	for range jobs {
		packers <- nil
	}
	pack := func(buf []byte, b *batch) (err error) {
		if b.packer = <-packers; b.packer == nil {
			if b.packer, err = newPacker(); err != nil {
				return fmt.Errorf("vmdk: %w", err)
			}
		}
		p, err := b.Read(w.src, buf)
		if err != nil {
			return err
		}
		return b.packer.pack(p, b.Offset/grainSize)
	}
	write := func(_ []byte, b *batch) error {
		if err := w.write(b); err != nil {
			return err
		}
		packers <- b.packer
		w.done(b.Disk)
		return nil
	}
	type step = parallel.Step[*batch]
	size := (w.src.Size() + grainSize - 1) &^ (grainSize - 1)
	batches := pieces.Data(ctx, pieces.Cut{Unit: grainSize, Most: batchSize}, w.src, size, w.done, func(p pieces.Piece) *batch { return &batch{Piece: p} })
	err := parallel.InOrder(ctx, jobs, batchSize, batches,
		step{Do: pack}, step{Do: func(_ []byte, b *batch) error { return w.place(b) }, InOrder: true}, step{Do: write, InOrder: w.inOrder})
	if err != nil {
		return err
	}
	return w.finish()
}

// place allocates the grains of a batch in the file and sets their entries in the grain table.
func (w *writer) place(b *batch) error {
	grains := b.packer.grains
	if len(grains) == 0 {
		return nil
	}
	b.place = w.next
	if index := int(b.Offset / tableSpan); index != w.index {
		b.table = w.endTable()
		w.index = index
	}
	for _, g := range grains {
		binary.LittleEndian.PutUint32(w.table[4*(g.number%tableEntries):], uint32((w.next+g.at)/sectorSize))
	}
	w.next += int64(len(b.packer.out))
	w.result.AllocatedGrains += int64(len(grains))
	return w.checkEnd()
}

// checkEnd checks that the end of the file is within the limit of the format.
func (w *writer) checkEnd() error {
	if w.next > maxFile {
		return fmt.Errorf("vmdk: file size exceeds %d: %w", int64(maxFile), image.ErrTooLarge)
	}
	return nil
}

// write writes a batch and the table in front of it.
func (w *writer) write(b *batch) error {
	at := b.place
	for _, p := range [][]byte{b.table, b.packer.out} {
		if len(p) == 0 {
			continue
		}
		if err := w.put(p, at); err != nil {
			return err
		}
		at += int64(len(p))
	}
	return nil
}
