package luksimg

import (
	"bytes"
	"context"
	"io"

	"github.com/luksimg/luksimg/image"
	"github.com/luksimg/luksimg/internal/parallel"
	"github.com/luksimg/luksimg/luks"
)

// Unlock opens the LUKS image in r, a file of size bytes, with a passphrase, which
// may be the content of a key file. It is [luks.Open] and [luks.Header.Unlock]. The caller closes the Volume.
func Unlock(ctx context.Context, r io.ReaderAt, size int64, passphrase []byte) (*luks.Volume, error) {
	h, err := luks.Open(r, size, luks.OpenOptions{})
	if err != nil {
		return nil, err
	}
	return h.Unlock(ctx, passphrase)
}

// zeroRun is the least run of zeros that [Decrypt] leaves out, and its alignment.
const zeroRun = 64 << 10

// Decrypt writes the plaintext of src, most often a [luks.Volume], to dst, which must
// be new: runs of zeros are left out, so that a file has holes there. Before anything is
// written, dst gets its length by its method Truncate if it has one, so that a file that
// cannot be so long is an error at once. If it has a method
// Expect(size int64, dense bool) error, that is called before, with false for dense; an
// error of either ends the job.
func Decrypt(ctx context.Context, dst io.WriterAt, src image.Source, o RunOptions) error {
	long := longPieceSize(o.jobs())
	if err := expect(dst, src.Size(), false); err != nil {
		return err
	}
	return eachPiece(ctx, o.jobs(), long, joined(pieces(ctx, src, 0, src.Size()), int64(long)), func(buf []byte, p piece) error {
		if !p.zero {
			b, err := readPiece(src, buf, p)
			if err != nil {
				return err
			}
			if err := writeSparse(dst, b, p.offset); err != nil {
				return err
			}
		}
		o.done(p.length)
		return nil
	})
}

// writeSparse writes b, but for its runs of zeros.
func writeSparse(dst io.WriterAt, b []byte, off int64) error {
	start := 0 // of what is to be written
	flush := func(end int) error {
		if start == end {
			return nil
		}
		_, err := dst.WriteAt(b[start:end], off+int64(start))
		return err
	}
	for i := 0; i < len(b); i += zeroRun {
		end := min(i+zeroRun, len(b))
		if !isZero(b[i:end]) {
			continue
		}
		if err := flush(i); err != nil {
			return err
		}
		start = end
	}
	return flush(len(b))
}

// zeros are to compare with, and the plaintext of what is known to be zero.
var zeros [64 << 10]byte

func isZero(b []byte) bool {
	const page = 4096 // most data differ at once, and zeros stay in the cache
	for len(b) > page {
		if !bytes.Equal(b[:page], zeros[:page]) {
			return false
		}
		b = b[page:]
	}
	return bytes.Equal(b, zeros[:len(b)])
}

// DecryptInOrder writes the plaintext of src to dst in order. It does not stop while dst
// does not take what is written.
func DecryptInOrder(ctx context.Context, dst io.Writer, src image.Source, o RunOptions) error {
	size := longPieceSize(o.buffers())
	fill, stop := oneByOne(dense(joined(pieces(ctx, src, 0, src.Size()), int64(size)), int64(size)))
	defer stop()
	read := func(buf []byte, p piece) error {
		_, err := readPiece(src, buf, p)
		return err
	}
	write := func(buf []byte, p piece) error {
		_, err := dst.Write(buf[:p.length])
		o.done(p.length)
		return err
	}
	return parallel.Ordered(ctx, o.buffers(), size, fill, step{Do: read}, step{Do: write, InOrder: true})
}
