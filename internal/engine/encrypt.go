package engine

import (
	"context"
	"io"

	"github.com/luksimg/luksimg/image"
	"github.com/luksimg/luksimg/internal/parallel"
	"github.com/luksimg/luksimg/internal/pieces"
)

// An Encryption is a job that encrypts a disk into an image.
type Encryption struct {
	Source  image.Source // the disk; nil for a stream
	Volume  Encrypter
	Length  int64    // of the plaintext in the image: the disk and zeros after it
	Offset  int64    // of the data in the file
	Size    int64    // of the file
	Sparse  bool     // known zeros are not written; not for streams
	Digests *Digests // nil means no digests, which is faster
	Workers
}

// An Encrypter encrypts whole sectors at an offset of the plaintext. dst can be src.
type Encrypter interface {
	EncryptSectors(dst, src []byte, off int64)
}

// WriteFile encrypts the disk. Each worker reads a piece, encrypts it and writes it to its offset in
// dst. Before that, WriteFile calls the methods Expect and Truncate of dst, if dst has them.
func (e Encryption) WriteFile(ctx context.Context, dst io.WriterAt) error {
	err := expect(dst, e.Size, !e.Sparse)
	switch {
	case err != nil:
	case e.Digests != nil:
		err = e.inOrder(ctx, step{Do: func(buf []byte, p pieces.Piece) error { return e.place(dst, buf, p) }})
	default:
		if p, ok := image.AsPusher(e.Source); ok {
			err = e.push(ctx, p, dst)
			break
		}
		err = e.WriteRange(ctx, dst, 0, e.Length)
	}
	if err == nil && e.Length == 0 { // no data were written after the header
		err = e.extend(dst, 0)
	}
	return err
}

// WriteRange encrypts the plaintext between two offsets, in whole sectors, as WriteFile encrypts all of
// it.
func (e Encryption) WriteRange(ctx context.Context, dst io.WriterAt, from, to int64) error {
	most := longPieces(e.Count)
	cut := pieces.Cut{Unit: unit, Most: most, Dense: !e.Sparse}
	return pieces.Each(ctx, e.Count, int(most), cut.Pieces(ctx, e.Source, from, to), func(buf []byte, p pieces.Piece) error {
		e.Done(p.Disk)
		if err := e.read(buf, p); err != nil {
			return err
		}
		return e.place(dst, buf, p)
	})
}

// WriteStream encrypts the disk and writes it to dst in order.
func (e Encryption) WriteStream(ctx context.Context, dst io.Writer) error {
	return e.inOrder(ctx, write(dst, func(int64) {}))
}

// inOrder encrypts the disk in order, with digests if requested. write is the last step.
func (e Encryption) inOrder(ctx context.Context, write step) error {
	var steps []step
	if e.Digests == nil {
		steps = []step{{Do: func(buf []byte, p pieces.Piece) error {
			err := e.read(buf, p)
			e.Done(p.Disk)
			return err
		}}, write}
	} else {
		read := step{Do: func(buf []byte, p pieces.Piece) error {
			_, err := p.Read(e.Source, buf)
			e.Done(p.Disk)
			return err
		}}
		steps = append([]step{read}, append(e.steps(), write)...)
	}
	most := longPieces(e.ahead())
	cut := pieces.Cut{Unit: unit, Most: most, Dense: true}
	return parallel.InOrder(ctx, e.ahead(), int(most), cut.Pieces(ctx, e.Source, 0, e.Length), steps...)
}

// steps returns the steps from plaintext to ciphertext in a buffer.
func (e Encryption) steps() []step {
	encrypt := step{Do: func(buf []byte, p pieces.Piece) error {
		if b := buf[:p.Length]; !e.leaves(p) {
			e.Volume.EncryptSectors(b, b, p.Offset)
		}
		return nil
	}}
	if e.Digests == nil {
		return []step{encrypt}
	}
	return e.Digests.around(encrypt)
}

// leaves reports whether a piece is not written.
func (e Encryption) leaves(p pieces.Piece) bool { return p.Zero && e.Sparse }

// zeros are the plaintext of known zeros.
var zeros [64 << 10]byte

// read reads p and puts its ciphertext at the start of buf.
func (e Encryption) read(buf []byte, p pieces.Piece) error {
	if e.leaves(p) {
		return nil
	}
	b, off := buf[:p.Length], p.Offset
	if !p.Zero {
		if _, err := p.Read(e.Source, buf); err != nil {
			return err
		}
		e.Volume.EncryptSectors(b, b, off)
		return nil
	}
	for len(b) > 0 {
		n := min(len(b), len(zeros))
		e.Volume.EncryptSectors(b[:n], zeros[:n], off)
		b, off = b[n:], off+int64(n)
	}
	return nil
}

// place writes a piece at its offset in the file.
func (e Encryption) place(dst io.WriterAt, buf []byte, p pieces.Piece) error {
	if e.leaves(p) {
		return e.extend(dst, p.End())
	}
	_, err := dst.WriteAt(buf[:p.Length], e.Offset+p.Offset)
	return err
}

// extend sets the length of dst if the piece that ends at end is the last one, was not written, and dst
// has no Truncate.
func (e Encryption) extend(dst io.WriterAt, end int64) error {
	if _, ok := dst.(truncater); ok || end < e.Length || e.Size == 0 {
		return nil
	}
	// Writing the last byte sets the length.
	_, err := dst.WriteAt([]byte{0}, e.Size-1)
	return err
}
