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

type step = parallel.Step[piece]

// encrypt is the step from plaintext in a buffer to ciphertext.
func (e *encryption) encrypt() step {
	return step{Do: func(buf []byte, p piece) error {
		if b := buf[:p.length]; !p.zero || !e.opts.DiscardZeros {
			e.volume.EncryptSectors(b, b, p.offset)
		}
		return nil
	}}
}

// between puts encrypting between the digests of plaintext and ciphertext.
func (d digests) between(encrypt step) []step {
	in := func(buf []byte, p piece) error {
		d.source.Write(buf[:p.disk])
		return nil
	}
	out := func(buf []byte, p piece) error {
		d.file.Write(buf[:p.length])
		return nil
	}
	return []step{{Do: in, InOrder: true}, encrypt, {Do: out, InOrder: true}}
}

// inOrder encrypts the disk, each piece by a worker that reads it, with digests if they are
// wanted. The last step writes.
func (e *encryption) inOrder(ctx context.Context, src image.Source, r *Result, write step) error {
	d, err := e.startDigests()
	if err != nil {
		return err
	}
	var steps []step
	if d.source == nil {
		steps = []step{{Do: func(buf []byte, p piece) error {
			err := e.encryptPiece(src, buf, p)
			e.opts.done(p.disk)
			return err
		}}}
	} else {
		read := step{Do: func(buf []byte, p piece) error {
			_, err := readPiece(src, buf, p)
			e.opts.done(p.disk)
			return err
		}}
		steps = append([]step{read}, d.between(e.encrypt())...)
	}
	size := longPieceSize(e.opts.buffers())
	fill, stop := oneByOne(dense(joined(pieces(ctx, src, 0, r.VolumeSize), int64(size)), int64(size)))
	defer stop()
	if err := parallel.Ordered(ctx, e.opts.buffers(), size, fill, append(steps, write)...); err != nil {
		return err
	}
	d.finish(r)
	return nil
}

// oneByOne has [parallel.Ordered] take pieces whose data are not read yet.
func oneByOne(pieces iter.Seq2[piece, error]) (fill func([]byte) (piece, bool, error), stop func()) {
	next, stop := iter.Pull2(pieces)
	return func([]byte) (piece, bool, error) {
		p, err, ok := next()
		return p, ok, err
	}, stop
}

// toPlace is the step that writes a piece to its place in a file.
func (e *encryption) toPlace(dst io.WriterAt, r *Result) step {
	offset := e.header.DataOffset()
	return step{Do: func(buf []byte, p piece) error {
		if p.zero && e.opts.DiscardZeros {
			return extend(dst, p.end(), r)
		}
		_, err := dst.WriteAt(buf[:p.length], offset+p.offset)
		return err
	}}
}

// toStream is the step that writes a piece behind those before it.
func toStream(dst io.Writer) step {
	return step{InOrder: true, Do: func(buf []byte, p piece) error {
		_, err := dst.Write(buf[:p.length])
		return err
	}}
}

// extend gives dst its length if the piece that ends at end, which is not written, is
// its last one, and expect could not.
func extend(dst io.WriterAt, end int64, r *Result) error {
	if _, ok := dst.(truncater); ok || end < r.VolumeSize || r.FileSize == 0 {
		return nil
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
			p.disk = int64(n)
			// Only the last piece may end within a sector.
			p.length = roundUp(int64(n), int64(e.header.SectorSize()))
			clear(buf[n:p.length])
			e.opts.done(int64(n))
			if err != nil {
				if r, err = e.result(size); err != nil {
					return p, false, err
				}
			}
		}
		if p.length == 0 && off < r.VolumeSize {
			p.length = min(pieceSize, r.VolumeSize-off)
			clear(buf[:p.length])
		}
		off = p.end()
		return p, p.length > 0, nil
	}
	steps := []step{e.encrypt()}
	if d.source != nil {
		steps = d.between(steps[0])
	}
	if err := parallel.Ordered(ctx, e.opts.buffers(), pieceSize, fill, append(steps, toStream(dst))...); err != nil {
		return nil, err
	}
	d.finish(r)
	return r, nil
}
