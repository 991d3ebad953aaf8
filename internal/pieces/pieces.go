// Package pieces splits a disk into pieces of work by its extents: data to be read, and zeros that need
// no reading. Everything that walks a whole disk uses it.
package pieces

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"iter"

	"github.com/luksimg/luksimg/image"
)

// A Piece is a part of a disk: data or a run of zeros.
type Piece struct {
	Offset int64
	Length int64
	Disk   int64 // number of bytes within the disk; the others are past its end
	Zero   bool  // known to be zeros without reading

	// group identifies the group of the source: its start plus one. One worker should read all pieces
	// of a group. Zero means no group.
	group int64
}

// with reports whether one worker should read both pieces.
func (p Piece) with(q Piece) bool {
	return p.group == q.group && (p.group > 0 || p.Offset/groupSize == q.Offset/groupSize)
}

// End returns the offset of the first byte past the piece.
func (p Piece) End() int64 { return p.Offset + p.Length }

// Read reads p from src into the start of buf, with zeros past the end of the disk. It returns that
// part of buf. If src ends early, the error is [io.ErrUnexpectedEOF].
func (p Piece) Read(src io.ReaderAt, buf []byte) ([]byte, error) {
	buf = buf[:p.Length]
	n := int64(0)
	if !p.Zero {
		n = p.Disk
		if err := ReadFull(src, buf[:n], p.Offset); err != nil {
			return nil, err
		}
	}
	clear(buf[n:])
	return buf, nil
}

// ReadFull reads all of p at off. Its error contains the offset; if r ends early, it is
// [io.ErrUnexpectedEOF].
func ReadFull(r io.ReaderAt, p []byte, off int64) error {
	n, err := image.ReadFull(r, p, off)
	if err != nil {
		return fmt.Errorf("reading at offset %d: %w", off+int64(n), err)
	}
	return nil
}

// A Cut describes how a disk is split. All numbers are in bytes.
type Cut struct {
	// Unit is the granularity of data and zeros. A piece starts at a multiple of Unit or at the start
	// of the range, and ends at a multiple or at the end.
	Unit int64

	// Most is the maximum length of a data piece, a multiple of Unit. No piece crosses a multiple of
	// Most. Adjacent data are merged as far as that allows.
	Most int64

	// Dense splits runs of zeros like data, for a job that writes or hashes them. Otherwise a run is
	// one piece of any length, so that its cost does not depend on the size of the disk.
	Dense bool
}

// Pieces yields the pieces of src between two offsets. Past the end of src all bytes are zeros. If ctx
// is done, the error is its cause. Extents of src that are not contiguous, or do not reach its end, are
// an error.
func (c Cut) Pieces(ctx context.Context, src image.Source, from, to int64) iter.Seq2[Piece, error] {
	return func(yield func(Piece, error) bool) {
		known := max(from, min(to, src.Size()))
		at := from   // start of the next piece
		data := from // end of the data that are not yet in a piece
		emit := func(end int64, zero bool) bool {
			p := Piece{Offset: at, Length: end - at, Disk: max(0, min(end, known)-at), Zero: zero}
			if start, _, ok := image.Group(src, at); ok && at < known {
				p.group = start + 1
			}
			at = end
			return p.Length == 0 || yield(p, nil)
		}
		// emitData keeps the rest for later, because more data can follow, unless the data end here.
		emitData := func(ended bool) bool {
			for at < data {
				end := at - at%c.Most + c.Most
				if end > data && !ended {
					return true
				}
				if !emit(min(end, data), false) {
					return false
				}
			}
			return true
		}
		emitZeros := func(end int64) bool {
			for c.Dense && end > at-at%c.Most+c.Most {
				if !emit(at-at%c.Most+c.Most, true) {
					return false
				}
			}
			return emit(end, true)
		}
		pos := from // expected start of the next extent
		for e, err := range image.ExtentsContext(ctx, src, from, known-from) {
			if err == nil && (e.Offset != pos || e.Length <= 0 || e.Length > known-pos) {
				err = fmt.Errorf("the source has an extent of %d bytes at %d, want one at %d", e.Length, e.Offset, pos)
			}
			if err != nil {
				yield(Piece{}, err)
				return
			}
			pos = e.End()
			if e.Kind != image.Data || pos <= data {
				continue
			}
			if first := e.Offset - e.Offset%c.Unit; first > data && !(emitData(true) && emitZeros(first)) {
				return
			}
			data = min((pos+c.Unit-1)/c.Unit*c.Unit, to)
			if !emitData(false) {
				return
			}
		}
		if pos < known {
			yield(Piece{}, fmt.Errorf("the extents of the source end at byte %d of %d: %w", pos, known, io.ErrUnexpectedEOF))
			return
		}
		if emitData(true) {
			emitZeros(to)
		}
	}
}

// zeros are compared with data.
var zeros [4096]byte

// IsZero reports whether b is all zeros. It is fast: most data differ in the first bytes, and zeros
// stay in the cache.
func IsZero(b []byte) bool {
	for len(b) > len(zeros) {
		if !bytes.Equal(b[:len(zeros)], zeros[:]) {
			return false
		}
		b = b[len(zeros):]
	}
	return bytes.Equal(b, zeros[:len(b)])
}
