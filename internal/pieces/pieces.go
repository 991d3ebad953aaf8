// Package pieces cuts a disk into pieces of work, by what its extents tell: data that is to be
// read, and zeros that is not. Everything that walks a whole disk cuts it here.
package pieces

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"iter"

	"github.com/luksimg/luksimg/image"
)

// A Piece is a part of a disk: data, or a run of zeros.
type Piece struct {
	Offset int64
	Length int64
	Disk   int64 // how many bytes of it are the disk's; the others are past its end
	Zero   bool  // known to be zeros without reading

	// group is where the part of the source starts that is best read by one worker, plus one; zero is
	// none in particular.
	group int64
}

// with tells whether two pieces are best read by one worker.
func (p Piece) with(q Piece) bool {
	return p.group == q.group && (p.group > 0 || p.Offset/groupSize == q.Offset/groupSize)
}

// End returns the offset of the first byte past the piece.
func (p Piece) End() int64 { return p.Offset + p.Length }

// Read reads p of src into the start of buf, with zeros past the end of the disk, and returns
// that part of buf. An early end of src is [io.ErrUnexpectedEOF].
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

// ReadFull reads all of p at off. Its error says where the read failed; an early end is
// [io.ErrUnexpectedEOF].
func ReadFull(r io.ReaderAt, p []byte, off int64) error {
	n, err := image.ReadFull(r, p, off)
	if err != nil {
		return fmt.Errorf("reading at offset %d: %w", off+int64(n), err)
	}
	return nil
}

// A Cut says how a disk is cut. All numbers are bytes.
type Cut struct {
	// Unit is the step in which data are told from zeros: a piece starts at a multiple of it, or
	// where the first one does, and ends at one or at the end.
	Unit int64

	// Most is the length of a piece of data at most, a multiple of Unit; no piece crosses a
	// multiple of it. Data that follow each other are as few pieces as that allows.
	Most int64

	// Dense cuts runs of zeros like data, for a job that writes or hashes them. Otherwise a run
	// is one piece, however long it is, so that zeros cost by what is on the disk and not by
	// its size.
	Dense bool
}

// Pieces yields the pieces of src from one offset to another. Past the end of src all is zeros. When ctx is done, its cause is the error. Extents of src that do not
// follow each other, or do not reach its end, are an error.
func (c Cut) Pieces(ctx context.Context, src image.Source, from, to int64) iter.Seq2[Piece, error] {
	return func(yield func(Piece, error) bool) {
		known := max(from, min(to, src.Size()))
		at := from   // where the next piece starts
		data := from // where the data end that no piece has yet
		emit := func(end int64, zero bool) bool {
			p := Piece{Offset: at, Length: end - at, Disk: max(0, min(end, known)-at), Zero: zero}
			if start, _, ok := image.Group(src, at); ok && at < known {
				p.group = start + 1
			}
			at = end
			return p.Length == 0 || yield(p, nil)
		}
		// emitData leaves what more data may follow for later, unless the data end here.
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
		pos := from // where the next extent starts
		for e, err := range image.ExtentsContext(ctx, src, from, known-from) {
			if err == nil && (e.Offset != pos || e.Length <= 0 || e.Length > known-pos) {
				err = fmt.Errorf("the source has an extent of %d bytes at %d, where one from %d on was due", e.Length, e.Offset, pos)
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
			yield(Piece{}, fmt.Errorf("the source tells of its data up to byte %d of %d: %w", pos, known, io.ErrUnexpectedEOF))
			return
		}
		if emitData(true) {
			emitZeros(to)
		}
	}
}

// zeros are to compare with.
var zeros [4096]byte

// IsZero tells whether all of b is zeros. Most data differ at once, and zeros stay in the cache.
func IsZero(b []byte) bool {
	for len(b) > len(zeros) {
		if !bytes.Equal(b[:len(zeros)], zeros[:]) {
			return false
		}
		b = b[len(zeros):]
	}
	return bytes.Equal(b, zeros[:len(b)])
}
