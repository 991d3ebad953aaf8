package vmdk

import (
	"context"
	"encoding/binary"
	"fmt"

	"github.com/luksimg/luksimg/image"
	"github.com/luksimg/luksimg/internal/parallel"
	"github.com/luksimg/luksimg/internal/pieces"
)

// batchSize is how much of the disk a worker takes at a time: whole grains, all of one grain
// table.
const batchSize = 1 << 20

// A batch is grains of the disk that follow each other.
type batch struct {
	pieces.Piece
	packer *packer
	table  []byte // what is in front of the grains in the file: a grain table, or nothing
	place  int64  // of that in the file
}

// body writes the grains and all that follows them. Workers read and compress, as they come; then
// each waits until all that is in front of its batch in the disk has its place in the file. It
// writes at the same time as others again, or in order.
func (w *writer) body(ctx context.Context) error {
	jobs := w.jobs
	if w.inOrder {
		jobs++ // one may wait for the pipe while all work
	}
	packers := make(chan *packer, jobs) // one for each worker, when it first needs it
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

// place gives the grains of a batch their places in the file and in the grain table.
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

// checkEnd checks that what has a place has one that the format can tell.
func (w *writer) checkEnd() error {
	if w.next > maxFile {
		return fmt.Errorf("vmdk: a file of more than %d bytes: %w", int64(maxFile), image.ErrTooLarge)
	}
	return nil
}

// write writes a batch, with the table in front of it.
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
