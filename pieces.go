package luksimg

import (
	"context"
	"fmt"
	"io"
	"iter"

	"github.com/luksimg/luksimg/image"
	"github.com/luksimg/luksimg/internal/parallel"
)

// pieceSize is how much a worker reads at a time: a multiple of every sector size, in
// the cache of a core, and long enough that the system calls cost little. What is zero is
// told apart in steps of this size.
const pieceSize = 256 << 10

// Workers that write to one file wait for each other: most systems let in one at a time.
// Longer pieces make for fewer such waits, each of which costs a switch or two in the
// scheduler. All workers together have writeBuffers of memory for them.
const (
	longPiece    = 1 << 20
	writeBuffers = 16 << 20
)

// longPieceSize returns the size of the pieces of so many workers that write to a file.
func longPieceSize(workers int) int {
	size := longPiece
	for size > pieceSize && size*workers > writeBuffers {
		size /= 2
	}
	return size
}

// groupSize is how much of a disk a worker takes at a time, piece after piece: the largest
// cluster of qcow2. Two workers that read from one compressed cluster would wait for one
// another.
const groupSize = 2 << 20

// A piece is a part of a disk: data of at most pieceSize bytes, or a run of zeros of any
// length. It starts at a multiple of pieceSize, and ends at one or at the end of the disk.
type piece struct {
	offset int64
	length int64
	disk   int64 // how many bytes of it are the disk's; the others are past its end
	zero   bool  // known to be zeros without reading
}

// end returns the offset of the first byte past the piece.
func (p piece) end() int64 { return p.offset + p.length }

// part returns the part of p up to end.
func (p piece) part(end int64) piece {
	p.length = min(p.length, end-p.offset)
	p.disk = min(p.disk, p.length)
	return p
}

// pieces cuts the bytes of a disk from one offset, a multiple of pieceSize, to another into
// pieces. A run of zeros is one piece, however long it is, so that they cost by what is on
// the disk and not by its size. Past the end of src all is zeros. When ctx is done, its
// cause is the error.
func pieces(ctx context.Context, src image.Source, from, to int64) iter.Seq2[piece, error] {
	return func(yield func(piece, error) bool) {
		known := min(to, src.Size())
		at := from // where the next piece starts
		until := func(end int64, zero bool) bool {
			p := piece{offset: at, length: end - at, disk: max(0, min(end, known)-at), zero: zero}
			at = end
			return p.length == 0 || yield(p, nil)
		}
		pos := from // where the next extent starts
		for e, err := range image.ExtentsContext(ctx, src, from, known-from) {
			if err == nil && (e.Offset != pos || e.Length <= 0 || e.Length > known-pos) {
				err = fmt.Errorf("the source has an extent of %d bytes at %d, where one from %d on was due", e.Length, e.Offset, pos)
			}
			if err != nil {
				yield(piece{}, err)
				return
			}
			pos = e.End()
			if e.Kind != image.Data || pos <= at {
				continue
			}
			if first := e.Offset - e.Offset%pieceSize; first > at && !until(first, true) {
				return
			}
			for at < pos {
				if !until(min(at+pieceSize, to), false) {
					return
				}
			}
		}
		if pos < known {
			yield(piece{}, fmt.Errorf("the source tells of its data up to byte %d of %d: %w", pos, known, io.ErrUnexpectedEOF))
			return
		}
		until(to, true)
	}
}

// joined joins data pieces that follow each other to pieces that are no longer than size and
// do not cross a multiple of it. Runs of zeros stay as they are.
func joined(pieces iter.Seq2[piece, error], size int64) iter.Seq2[piece, error] {
	return func(yield func(piece, error) bool) {
		var long piece
		for p, err := range pieces {
			if err != nil {
				yield(piece{}, err)
				return
			}
			if long.length > 0 && !p.zero && !long.zero && p.offset%size != 0 {
				long.length += p.length
				long.disk += p.disk
				continue
			}
			if long.length > 0 && !yield(long, nil) {
				return
			}
			long = p
		}
		if long.length > 0 {
			yield(long, nil)
		}
	}
}

// dense cuts runs of zeros, for a job that writes or hashes them: no piece crosses a multiple
// of size.
func dense(pieces iter.Seq2[piece, error], size int64) iter.Seq2[piece, error] {
	return func(yield func(piece, error) bool) {
		for p, err := range pieces {
			for err == nil && p.zero && p.end() > p.offset-p.offset%size+size {
				head := p.part(p.offset - p.offset%size + size)
				if !yield(head, nil) {
					return
				}
				p.offset, p.length, p.disk = head.end(), p.length-head.length, p.disk-head.disk
			}
			if !yield(p, err) || err != nil {
				return
			}
		}
	}
}

// eachPiece calls do for each of the pieces, from so many workers that each have a buffer
// of bufSize bytes; see [parallel.Run].
func eachPiece(ctx context.Context, workers, bufSize int, pieces iter.Seq2[piece, error], do func(buf []byte, p piece) error) error {
	return parallel.Run(ctx, workers, bufSize, groups(pieces), func(buf []byte, group []piece) error {
		for _, p := range group {
			if err := context.Cause(ctx); err != nil {
				return err
			}
			if err := do(buf, p); err != nil {
				return err
			}
		}
		return nil
	})
}

// groups puts pieces together that start in the same groupSize bytes of the disk.
func groups(pieces iter.Seq2[piece, error]) iter.Seq2[[]piece, error] {
	return func(yield func([]piece, error) bool) {
		var group []piece
		for p, err := range pieces {
			if err != nil {
				yield(nil, err)
				return
			}
			if len(group) > 0 && group[0].offset/groupSize != p.offset/groupSize {
				if !yield(group, nil) {
					return
				}
				group = nil // the worker has it
			}
			group = append(group, p)
		}
		if len(group) > 0 {
			yield(group, nil)
		}
	}
}

// readPiece reads p of src into the start of buf, with zeros past the end of src.
func readPiece(src image.Source, buf []byte, p piece) ([]byte, error) {
	buf = buf[:p.length]
	n := int64(0)
	if !p.zero {
		n = p.disk
		if err := readFull(src, buf[:n], p.offset); err != nil {
			return nil, err
		}
	}
	clear(buf[n:])
	return buf, nil
}
