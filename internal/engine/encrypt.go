package engine

import (
	"context"
	"io"

	"github.com/luksimg/luksimg/image"
	"github.com/luksimg/luksimg/internal/parallel"
	"github.com/luksimg/luksimg/internal/pieces"
)

// An Encryption is a job that makes the data of an encrypted image.
type Encryption struct {
	Source  image.Source // the disk; nil if it comes as a stream
	Volume  Encrypter
	Length  int64    // of the plaintext in the image: the disk, and zeros past it
	Offset  int64    // of the data in the file
	Size    int64    // of the file
	Sparse  bool     // zeros that the source knows of are not written; not in a stream
	Digests *Digests // nil if they are not wanted, which is faster
	Workers
}

// An Encrypter encrypts whole sectors at an offset of the plaintext, in place or apart.
type Encrypter interface {
	EncryptSectors(dst, src []byte, off int64)
}

// WriteFile encrypts the disk, each piece by a worker that reads it and writes it to its own
// place in dst. Before, dst is told what is to come, and given its length, if it has methods
// Expect and Truncate for that.
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
	if err == nil && e.Length == 0 { // nothing was written behind the header
		err = e.extend(dst, 0)
	}
	return err
}

// WriteRange encrypts the plaintext from one offset to another, in whole sectors, as WriteFile does
// with all of it.
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

// WriteStream encrypts the disk, as WriteFile does, and writes it to dst in order.
func (e Encryption) WriteStream(ctx context.Context, dst io.Writer) error {
	return e.inOrder(ctx, write(dst, func(int64) {}))
}

// inOrder encrypts the disk with digests, if they are wanted. The last step writes.
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

// steps are those from plaintext in a buffer to ciphertext.
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

// leaves tells whether a piece is left out of the file.
func (e Encryption) leaves(p pieces.Piece) bool { return p.Zero && e.Sparse }

// zeros are the plaintext of what is known to be zero.
var zeros [64 << 10]byte

// read reads p and leaves its ciphertext in the start of buf.
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

// place writes a piece to its place in a file.
func (e Encryption) place(dst io.WriterAt, buf []byte, p pieces.Piece) error {
	if e.leaves(p) {
		return e.extend(dst, p.End())
	}
	_, err := dst.WriteAt(buf[:p.Length], e.Offset+p.Offset)
	return err
}

// extend gives dst its length if the piece that ends at end, which is not written, is its last
// one, and expect could not.
func (e Encryption) extend(dst io.WriterAt, end int64) error {
	if _, ok := dst.(truncater); ok || end < e.Length || e.Size == 0 {
		return nil
	}
	// The last byte is as good as any other that says where the end is.
	_, err := dst.WriteAt([]byte{0}, e.Size-1)
	return err
}
