package luksimg

import (
	"fmt"
	"io"
	"iter"

	"github.com/luksimg/luksimg/image"
)

// pieceSize is how much a worker reads, encrypts and writes at a time: a multiple of
// every sector size, in the cache of a core, and long enough that the system calls
// cost little.
const pieceSize = 256 << 10

// A piece is a part of a disk, from a multiple of pieceSize to the next one, or to
// the end.
type piece struct {
	offset int64
	length int
	disk   int  // how many bytes of it are the disk's; the others are past its end
	zero   bool // known to be zeros without reading
}

// end returns the offset of the first byte past the piece.
func (p piece) end() int64 { return p.offset + int64(p.length) }

// pieces cuts the first size bytes of a disk into pieces. Past the end of src all is
// zeros.
func pieces(src image.Source, size int64) iter.Seq2[piece, error] {
	return func(yield func(piece, error) bool) {
		known := min(size, src.Size())
		next, stop := iter.Pull2(image.Extents(src, 0, known))
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
