package luksimg

import (
	"context"
	"io"

	"github.com/luksimg/luksimg/image"
	"github.com/luksimg/luksimg/internal/engine"
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

// Decrypt writes the plaintext of src, most often a [luks.Volume], to dst, which must
// be new: runs of zeros are left out, so that a file has holes there. Before anything is
// written, dst gets its length by its method Truncate if it has one, so that a file that
// cannot be so long is an error at once. If it has a method
// Expect(size int64, dense bool) error, that is called before, with false for dense; an
// error of either ends the job.
func Decrypt(ctx context.Context, dst io.WriterAt, src image.Source, o RunOptions) error {
	return engine.Plain{Source: src, Workers: o.workers()}.WriteFile(ctx, dst)
}

// DecryptInOrder writes the plaintext of src to dst in order. It does not stop while dst
// does not take what is written.
func DecryptInOrder(ctx context.Context, dst io.Writer, src image.Source, o RunOptions) error {
	return engine.Plain{Source: src, Workers: o.workers()}.WriteStream(ctx, dst)
}
