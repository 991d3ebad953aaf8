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

// A piece is a part of a disk. It starts at a multiple of pieceSize, and ends at one or
// at the end of the disk.
type piece struct {
	offset int64
	length int
	disk   int  // how many bytes of it are the disk's; the others are past its end
	zero   bool // known to be zeros without reading
}

// end returns the offset of the first byte past the piece.
func (p piece) end() int64 { return p.offset + int64(p.length) }

// pieces cuts the first size bytes of a disk into pieces. Past the end of src all is
// zeros. When ctx is done, its cause is the error.
func pieces(ctx context.Context, src image.Source, size int64) iter.Seq2[piece, error] {
	return func(yield func(piece, error) bool) {
		known := min(size, src.Size())
		next, stop := iter.Pull2(image.ExtentsContext(ctx, src, 0, known))
		defer stop()
		var e image.Extent // the last one taken
		for off := int64(0); off < size; off += pieceSize {
			p := piece{offset: off, length: int(min(pieceSize, size-off)), zero: true}
			p.disk = int(max(0, min(int64(p.length), known-off)))
			for end := p.end(); ; {
				if e.End() > off && e.Kind == image.Data {
					p.zero = false
				}
				if e.End() >= end {
					break
				}
				n, err, ok := next()
				if !ok && e.End() < known {
					err = fmt.Errorf("the source tells of its data up to byte %d of %d: %w", e.End(), known, io.ErrUnexpectedEOF)
				}
				if err != nil {
					yield(piece{}, err)
					return
				}
				if !ok { // zeros to the end
					n = image.Extent{Offset: known, Length: size - known, Kind: image.Hole}
				}
				e = n
			}
			if !yield(p, nil) {
				return
			}
		}
	}
}

// joined joins pieces that follow each other, and are alike, to pieces that are no longer
// than size and do not cross a multiple of it.
func joined(pieces iter.Seq2[piece, error], size int) iter.Seq2[piece, error] {
	return func(yield func(piece, error) bool) {
		var long piece
		for p, err := range pieces {
			if err != nil {
				yield(piece{}, err)
				return
			}
			if long.length > 0 && p.zero == long.zero && p.offset%int64(size) != 0 {
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
	n := 0
	if !p.zero {
		n = p.disk
		if err := readFull(src, buf[:n], p.offset); err != nil {
			return nil, err
		}
	}
	clear(buf[n:])
	return buf, nil
}
