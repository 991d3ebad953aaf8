package compressed

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"runtime"

	"github.com/luksimg/luksimg/image"
	"github.com/luksimg/luksimg/internal/zstd"
)

// Numbers in parentheses are sections of RFC 8878.

const (
	maxSkippable = 16      // skippable frames before the first data frame
	maxEmpty     = 1 << 14 // consecutive empty members, frames or streams
)

// startsZstd reports whether the first frame that is not skippable is a zstd frame, because LZ4 has
// skippable frames too.
func startsZstd(r io.ReaderAt, size int64) bool {
	var b [8]byte
	for off, n := int64(0), 0; n <= maxSkippable && off <= size-int64(len(b)); n++ {
		if _, err := image.ReadFull(r, b[:], off); err != nil {
			return false
		}
		switch magic := binary.LittleEndian.Uint32(b[:]); {
		case magic == zstd.Magic:
			return true
		case !zstd.IsSkippable(magic):
			return false
		}
		off += 8 + int64(binary.LittleEndian.Uint32(b[4:]))
	}
	return false
}

// zstdError converts an error of the decoder to one of this package.
func zstdError(err error) error {
	var bad *zstd.CorruptError
	switch {
	case errors.As(err, &bad):
		return corrupt(Zstd, bad.Offset, "%s", bad.Problem)
	case errors.Is(err, zstd.ErrWindow):
		return fmt.Errorf("%s: %w: %v", Zstd, ErrWindow, err)
	case errors.Is(err, zstd.ErrDictionary):
		return fmt.Errorf("%s: %w: %v", Zstd, ErrUnsupported, err)
	}
	return err
}

// A zstdReader reads concatenated frames.
type zstdReader struct{ *zstd.Reader }

// newZstd returns a reader of r. With ahead, a goroutine reads ahead if that is useful.
func newZstd(r io.Reader, o Options, ahead bool) zstdReader {
	return zstdReader{zstd.NewReader(r, zstd.Options{MaxWindow: o.window(), Ahead: ahead && runtime.GOMAXPROCS(0) > 1})}
}

func (z zstdReader) Read(p []byte) (int, error) {
	n, err := z.Reader.Read(p)
	return n, zstdError(err)
}

// zstdPush pushes all units of a file, each decoded by one worker.
func (f *File) zstdPush(ctx context.Context, workers int, do func(p []byte, off int64) error) error {
	return f.pushUnits(ctx, workers, func(r io.Reader, before io.ReadCloser) (io.ReadCloser, error) {
		if z, ok := before.(zstdReader); ok {
			z.Reset(r)
			return z, nil
		}
		return newZstd(r, f.o, false), nil
	}, do)
}

// zstdIndex walks the frames of a file by the headers of their blocks (3.1.1.2), without decoding them.
// It returns nil if a frame does not contain its length.
func zstdIndex(ctx context.Context, r io.ReaderAt, size int64, o Options) (*index, error) {
	x := newIndex(Zstd, size)
	b := &walker{r: r, size: size}
	empty := 0
	for off := int64(0); off < size; {
		if err := context.Cause(ctx); err != nil {
			return nil, err
		}
		head, err := b.at(off, zstd.MaxHeader)
		if err != nil {
			return nil, err
		}
		if len(head) < 4 {
			return nil, corrupt(Zstd, off, "the file ends within a frame")
		}
		magic := binary.LittleEndian.Uint32(head)
		if empty++; empty > maxEmpty {
			return nil, corrupt(Zstd, off, "%d consecutive frames are empty", empty)
		}
		if zstd.IsSkippable(magic) {
			if len(head) < 8 {
				return nil, corrupt(Zstd, off, "the file ends within a frame")
			}
			next := off + 8 + int64(binary.LittleEndian.Uint32(head[4:]))
			if next > size {
				return nil, corrupt(Zstd, off, "a skippable frame extends past the end of the file")
			}
			x.skip(next - off)
			off = next
			continue
		}
		if magic != zstd.Magic {
			return nil, corrupt(Zstd, off, "there are other data after a frame")
		}
		f, err := zstd.ReadHeader(head)
		var bad *zstd.CorruptError
		if errors.As(err, &bad) {
			return nil, corrupt(Zstd, off+bad.Offset, "%s", bad.Problem)
		}
		if f.Size < 0 {
			return nil, nil
		}
		if f.Window > o.window() {
			return nil, fmt.Errorf("%s: %w: a window of %d bytes, the limit is %d", Zstd, ErrWindow, f.Window, o.window())
		}
		next, err := b.frameEnd(off, f)
		if err != nil {
			return nil, err
		}
		if f.Size > 0 {
			empty = 0
		}
		if err := x.add(next-off, f.Size, o); err != nil {
			return nil, err
		}
		off = next
	}
	return x, nil
}

// frameEnd walks the blocks of the frame at off and returns its end.
func (w *walker) frameEnd(off int64, f zstd.Header) (int64, error) {
	for at := off + f.Len; ; {
		b, err := w.at(at, zstd.BlockHeader)
		if err != nil {
			return 0, err
		}
		if len(b) < zstd.BlockHeader {
			return 0, corrupt(Zstd, at, "the file ends within a frame")
		}
		v := uint32(b[0]) | uint32(b[1])<<8 | uint32(b[2])<<16
		n := int64(v >> 3)
		switch v >> 1 & 3 {
		case 1: // one byte, repeated
			n = 1
		case 3:
			return 0, corrupt(Zstd, at, "a block of a reserved type")
		default:
			if n > zstd.MaxBlock {
				return 0, corrupt(Zstd, at, "a block of %d bytes exceeds the maximum", n)
			}
		}
		at += zstd.BlockHeader + n
		if v&1 == 0 {
			continue
		}
		if f.Checksum {
			at += 4
		}
		if at > w.size {
			return 0, corrupt(Zstd, off, "the file ends within a frame")
		}
		return at, nil
	}
}

// A walker reads small consecutive parts of a file.
type walker struct {
	r    io.ReaderAt
	size int64
	buf  []byte
	off  int64 // offset of buf
	last int64 // offset of the last part
}

const (
	walkerBuffer = 64 << 10
	walkerNear   = 4 << 10
)

// at returns n bytes at off, or fewer at the end of the file.
func (w *walker) at(off int64, n int) ([]byte, error) {
	if n = int(min(int64(n), w.size-off)); n <= 0 {
		return nil, nil
	}
	near := off <= w.last+walkerNear
	w.last = off
	if off >= w.off && off+int64(n) <= w.off+int64(len(w.buf)) {
		return w.buf[off-w.off:][:n], nil
	}
	if w.buf == nil {
		w.buf = make([]byte, walkerBuffer)
	}
	// A part that is far from the last one is usually followed by others as far apart.
	want := n
	if near {
		want = walkerBuffer
	}
	w.buf = w.buf[:cap(w.buf)][:min(int64(want), w.size-off)]
	w.off = off
	if _, err := image.ReadFull(w.r, w.buf, off); err != nil {
		w.buf = w.buf[:0]
		return nil, err
	}
	return w.buf[:n], nil
}
