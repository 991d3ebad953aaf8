package luksimg

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"hash"
	"io"
	"iter"

	"github.com/luksimg/luksimg/image"
	"github.com/luksimg/luksimg/internal/parallel"
)

// What follows is for jobs that have an order: streams, and digests. One buffer more
// than there are workers lets them go on while one of them waits for a pipe.
func (o RunOptions) buffers() int { return o.jobs() + 1 }

// digests are the two hashes of an encryption; both are nil if they are not wanted.
type digests struct{ source, file hash.Hash }

// startDigests starts with the header, if it is a part of the file.
func (e *encryption) startDigests() (digests, error) {
	var d digests
	if !e.opts.Digest {
		return d, nil
	}
	d.source, d.file = sha256.New(), sha256.New()
	if e.opts.Header != nil {
		return d, nil
	}
	_, err := e.header.WriteTo(d.file)
	return d, err
}

func (d digests) finish(r *Result) {
	if d.source != nil {
		r.SourceSHA256 = hex.EncodeToString(d.source.Sum(nil))
		r.FileSHA256 = hex.EncodeToString(d.file.Sum(nil))
	}
}

// stages returns the work on pieces: read the plaintext, hash it, encrypt it, hash it again,
// and write it. read is nil if the plaintext is in the buffer already.
func (e *encryption) stages(d digests, read, write func(buf []byte, p piece) error) parallel.Stages[piece] {
	encrypt := func(buf []byte, p piece) error {
		if b := buf[:p.length]; !p.zero || !e.opts.DiscardZeros {
			e.volume.EncryptSectors(b, b, p.offset)
		}
		return nil
	}
	out := func(buf []byte, p piece) error {
		b := buf[:p.length]
		if d.file != nil {
			d.file.Write(b)
		}
		return write(b, p)
	}
	if d.source != nil {
		in := func(buf []byte, p piece) error {
			d.source.Write(buf[:p.disk])
			return nil
		}
		return parallel.Stages[piece]{Work: read, Emit: []func([]byte, piece) error{in, out}, Between: encrypt}
	}
	work := encrypt
	if read != nil {
		work = func(buf []byte, p piece) error {
			if err := read(buf, p); err != nil {
				return err
			}
			return encrypt(buf, p)
		}
	}
	return parallel.Stages[piece]{Work: work, Emit: []func([]byte, piece) error{out}}
}

// inOrder encrypts the disk into a file in order, with digests.
func (e *encryption) inOrder(ctx context.Context, dst io.WriterAt, src image.Source, r *Result) error {
	offset := e.header.DataOffset()
	return e.pieces(ctx, src, r, func(b []byte, p piece) error {
		if p.zero && e.opts.DiscardZeros {
			return extend(dst, p.end(), r)
		}
		_, err := dst.WriteAt(b, offset+p.offset)
		return err
	})
}

// pieces encrypts the disk, each piece by a worker that reads it, and calls write for one
// after the other, in order.
func (e *encryption) pieces(ctx context.Context, src image.Source, r *Result, write func(b []byte, p piece) error) error {
	d, err := e.startDigests()
	if err != nil {
		return err
	}
	read := func(buf []byte, p piece) error {
		_, err := readPiece(src, buf, p)
		e.opts.done(p.disk)
		return err
	}
	s := e.stages(d, read, write)
	size := longPieceSize(e.opts.buffers())
	next, stop := iter.Pull2(joined(pieces(src, r.VolumeSize), size))
	defer stop()
	s.Fill = func([]byte) (piece, bool, error) {
		p, err, ok := next()
		return p, ok, err
	}
	if err := parallel.Ordered(ctx, e.opts.buffers(), size, s); err != nil {
		return err
	}
	d.finish(r)
	return nil
}

// extend gives dst its length if the piece that ends at end, which is not written, is
// its last one.
func extend(dst io.WriterAt, end int64, r *Result) error {
	if end < r.VolumeSize || r.FileSize == 0 {
		return nil
	}
	if t, ok := dst.(interface{ Truncate(int64) error }); ok {
		return t.Truncate(r.FileSize)
	}
	// The last byte is as good as any other that says where the end is.
	_, err := dst.WriteAt([]byte{0}, r.FileSize-1)
	return err
}

// stream encrypts all that src gives and writes it in order, after the header.
func (e *encryption) stream(ctx context.Context, dst io.Writer, src io.Reader) (*Result, error) {
	d, err := e.startDigests()
	if err != nil {
		return nil, err
	}
	var r *Result // nil before the end of src
	size := int64(0)
	off := int64(0) // of the next piece
	fill := func(buf []byte) (piece, bool, error) {
		p := piece{offset: off}
		if r == nil {
			n, err := io.ReadFull(src, buf)
			if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
				return p, false, err
			}
			size += int64(n)
			p.disk = n
			// Only the last piece may end within a sector.
			p.length = int(roundUp(int64(n), int64(e.header.SectorSize())))
			clear(buf[n:p.length])
			e.opts.done(n)
			if err != nil {
				if r, err = e.result(size); err != nil {
					return p, false, err
				}
			}
		}
		if p.length == 0 && off < r.VolumeSize {
			p.length = int(min(pieceSize, r.VolumeSize-off))
			clear(buf[:p.length])
		}
		off = p.end()
		return p, p.length > 0, nil
	}
	s := e.stages(d, nil, func(b []byte, _ piece) error {
		_, err := dst.Write(b)
		return err
	})
	s.Fill = fill
	if err := parallel.Ordered(ctx, e.opts.buffers(), pieceSize, s); err != nil {
		return nil, err
	}
	d.finish(r)
	return r, nil
}
