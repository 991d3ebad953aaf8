package engine

import (
	"context"
	"fmt"
	"io"

	"github.com/luksimg/luksimg/internal/parallel"
	"github.com/luksimg/luksimg/internal/pieces"
)

// Copy encrypts all bytes of src, a disk, and writes them to dst in order. At the end it calls length
// with the size of the disk. length returns the size of the plaintext in the image, and Copy pads the
// disk with zeros to that size. sector is the sector size in bytes.
func (e Encryption) Copy(ctx context.Context, dst io.Writer, src io.Reader, sector int, length func(size int64) (int64, error)) error {
	var size, off int64 // off is the offset of the next piece
	ended := false
	fill := func(buf []byte) (pieces.Piece, bool, error) {
		p := pieces.Piece{Offset: off}
		if !ended {
			n, err := io.ReadFull(src, buf)
			if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
				return p, false, err
			}
			size += int64(n)
			p.Disk = int64(n)
			// Only the last piece can end within a sector.
			p.Length = int64((n + sector - 1) / sector * sector)
			clear(buf[n:p.Length])
			e.Done(int64(n))
			if err != nil {
				ended = true
				if e.Length, err = length(size); err != nil {
					return p, false, err
				}
			}
		}
		if p.Length == 0 && off < e.Length {
			p.Length = min(unit, e.Length-off)
			clear(buf[:p.Length])
		}
		off = p.End()
		return p, p.Length > 0, nil
	}
	return parallel.Ordered(ctx, e.ahead(), unit, fill, append(e.steps(), write(dst, func(int64) {}))...)
}

// A Decryption is a job that decrypts the data of an image from a stream.
type Decryption struct {
	Data      io.Reader
	Volume    Decrypter
	Length    int64 // of the data in bytes; 0 means up to the end of the stream
	Offset    int64 // of the data in the stream, for errors
	Sector    int   // bytes
	Truncated bool  // ignore a partial sector at the end
	Workers
}

// A Decrypter decrypts whole sectors at an offset of the plaintext. dst can be src.
type Decrypter interface {
	DecryptSectors(dst, src []byte, off int64)
}

// WriteStream writes the plaintext to dst and returns its length. If the data end too early, the error
// is [io.ErrUnexpectedEOF].
func (d Decryption) WriteStream(ctx context.Context, dst io.Writer) (size int64, err error) {
	ended := false
	fill := func(buf []byte) (pieces.Piece, bool, error) {
		p := pieces.Piece{Offset: size}
		if d.Length > 0 {
			buf = buf[:min(int64(len(buf)), d.Length-size)]
		}
		if ended || len(buf) == 0 {
			return p, false, nil
		}
		n, err := io.ReadFull(d.Data, buf)
		ended = err != nil
		if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
			return p, false, err
		}
		if d.Truncated && d.Length == 0 {
			n -= n % d.Sector
		}
		p.Length = int64(n)
		size += int64(n)
		switch {
		case n%d.Sector != 0:
			return p, false, fmt.Errorf("the stream ends within a sector, after %d bytes of data: %w", size, io.ErrUnexpectedEOF)
		case ended && d.Length > size:
			return p, false, fmt.Errorf("the stream ends after %d of %d bytes of data: %w", size, d.Length, io.ErrUnexpectedEOF)
		case size == 0:
			return p, false, fmt.Errorf("the stream has no data: it ends at byte %d, where they start: %w", d.Offset, io.ErrUnexpectedEOF)
		}
		return p, n > 0, nil
	}
	decrypt := step{Do: func(buf []byte, p pieces.Piece) error {
		b := buf[:p.Length]
		d.Volume.DecryptSectors(b, b, p.Offset)
		return nil
	}}
	err = parallel.Ordered(ctx, d.ahead(), int(longPieces(d.ahead())), fill, decrypt, write(dst, d.Done))
	return size, err
}
