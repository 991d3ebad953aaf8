package compressed

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"runtime"

	"github.com/klauspost/compress/zstd"

	"github.com/luksimg/luksimg/image"
)

// What follows is of RFC 8878, by section.

const (
	zstdMagic     = 0xfd2fb528 // 3.1.1
	skippable     = 0x184d2a50 // 3.1.2: and the fifteen numbers behind it
	maxSkippable  = 16         // in front of the first frame of data
	maxEmpty      = 1 << 14    // members, frames or streams in a row that give nothing
	zstdBlockHead = 3          // bytes
	maxZstdBlock  = 128 << 10
)

func isSkippable(magic uint32) bool { return magic&^15 == skippable }

// startsZstd tells whether the first frame that is not skippable is one of zstd: LZ4 has skippable
// frames too.
func startsZstd(r io.ReaderAt, size int64) bool {
	var b [8]byte
	for off, n := int64(0), 0; n <= maxSkippable && off <= size-int64(len(b)); n++ {
		if _, err := image.ReadFull(r, b[:], off); err != nil {
			return false
		}
		switch magic := binary.LittleEndian.Uint32(b[:]); {
		case magic == zstdMagic:
			return true
		case !isSkippable(magic):
			return false
		}
		off += 8 + int64(binary.LittleEndian.Uint32(b[4:]))
	}
	return false
}

// zstdErrors are those of the decoder that have a name here.
func zstdError(err error) error {
	switch {
	case errors.Is(err, zstd.ErrWindowSizeExceeded), errors.Is(err, zstd.ErrDecoderSizeExceeded):
		return fmt.Errorf("%s: %w: %v", Zstd, ErrWindow, err)
	case errors.Is(err, zstd.ErrUnknownDictionary):
		return fmt.Errorf("%s: %w: it was compressed with a dictionary", Zstd, ErrUnsupported)
	}
	return err
}

// A zstdReader reads frames that follow each other.
type zstdReader struct{ d *zstd.Decoder }

func newZstd(b *bufio.Reader, o Options) (io.ReadCloser, error) {
	d, err := zstdDecoder(b, o, zstdStages())
	if err != nil {
		return nil, err
	}
	return zstdReader{d}, nil
}

func zstdDecoder(r io.Reader, o Options, stages int) (*zstd.Decoder, error) {
	return zstd.NewReader(r, zstd.WithDecoderMaxWindow(uint64(max(o.window(), zstd.MinWindowSize))), zstd.WithDecoderConcurrency(stages), zstd.WithDecoderLowmem(true))
}

// zstdPush gives all units of a file, each decoded by one worker.
func (f *File) zstdPush(ctx context.Context, workers int, do func(p []byte, off int64) error) error {
	return f.pushUnits(ctx, workers, func(r io.Reader, before io.ReadCloser) (io.ReadCloser, error) {
		b := bufio.NewReaderSize(r, 256<<10)
		if z, ok := before.(zstdReader); ok {
			return z, zstdError(z.d.Reset(b))
		}
		d, err := zstdDecoder(b, f.o, 1)
		if err != nil {
			return nil, err
		}
		return zstdReader{d}, nil
	}, do)
}

// zstdStages returns in how many goroutines a frame is decoded: with four one block is read and checked
// while the next one is decoded and a third one is written. On two CPUs handing blocks over takes longer
// than that gains, as what is decoded is to be worked on, too.
func zstdStages() int {
	if runtime.GOMAXPROCS(0) > 2 {
		return 4
	}
	return 1
}

func (z zstdReader) Read(p []byte) (int, error) {
	n, err := z.d.Read(p)
	if err != nil && err != io.EOF {
		err = zstdError(err)
	}
	return n, err
}

func (z zstdReader) Close() error {
	z.d.Close()
	return nil
}

// A zstdFrame is what the header of a frame says (3.1.1.1).
type zstdFrame struct {
	header   int64 // bytes
	size     int64 // of what is in it; -1 if it does not say so
	window   int64
	checksum bool
}

// maxFrameHead is the length of a magic number and the longest header.
const maxFrameHead = 4 + 14

// frameHeader reads the header of a frame, at off in the file, from its first bytes.
func frameHeader(b []byte, off int64) (zstdFrame, error) {
	le := binary.LittleEndian
	if len(b) < 5 {
		return zstdFrame{}, corrupt(Zstd, off, "the header of a frame is cut off")
	}
	d := b[4]
	single := d&0x20 != 0
	f := zstdFrame{header: 5, size: -1, checksum: d&4 != 0}
	idLen := []int64{0, 1, 2, 4}[d&3]
	sizeLen := []int64{0, 2, 4, 8}[d>>6]
	if single && sizeLen == 0 {
		sizeLen = 1
	}
	if !single {
		f.header++
	}
	if d&8 != 0 {
		return f, corrupt(Zstd, off+4, "the reserved bit of the frame header is set")
	}
	at := f.header + idLen
	f.header = at + sizeLen
	if int64(len(b)) < f.header {
		return f, corrupt(Zstd, off, "the header of a frame is cut off")
	}
	if !single {
		exp, mantissa := uint(b[5]>>3), int64(b[5]&7)
		f.window = 1<<(10+exp) + mantissa<<(10+exp)/8
	}
	switch sizeLen {
	case 1:
		f.size = int64(b[at])
	case 2:
		f.size = int64(le.Uint16(b[at:])) + 256
	case 4:
		f.size = int64(le.Uint32(b[at:]))
	case 8:
		v := le.Uint64(b[at:])
		if v > 1<<62 {
			return f, &SizeError{Zstd, 1 << 62, 1 << 62}
		}
		f.size = int64(v)
	}
	if single {
		f.window = f.size
	}
	return f, nil
}

// zstdIndex walks the frames of a file, from header to header of its blocks (3.1.1.2). It returns nil
// where a frame does not tell its length. What is in the blocks is not looked at.
func zstdIndex(ctx context.Context, r io.ReaderAt, size int64, o Options) (*index, error) {
	x := newIndex(Zstd, size)
	b := &walker{r: r, size: size}
	empty := 0
	for off := int64(0); off < size; {
		if err := context.Cause(ctx); err != nil {
			return nil, err
		}
		head, err := b.at(off, maxFrameHead)
		if err != nil {
			return nil, err
		}
		if len(head) < 4 {
			return nil, corrupt(Zstd, off, "the file ends within a frame")
		}
		magic := binary.LittleEndian.Uint32(head)
		if empty++; empty > maxEmpty {
			return nil, corrupt(Zstd, off, "%d frames in a row hold nothing", empty)
		}
		if isSkippable(magic) {
			if len(head) < 8 {
				return nil, corrupt(Zstd, off, "the file ends within a frame")
			}
			next := off + 8 + int64(binary.LittleEndian.Uint32(head[4:]))
			if next > size {
				return nil, corrupt(Zstd, off, "a skippable frame reaches past the end of the file")
			}
			x.skip(next - off)
			off = next
			continue
		}
		if magic != zstdMagic {
			return nil, corrupt(Zstd, off, "what follows a frame is none")
		}
		f, err := frameHeader(head, off)
		if err != nil {
			return nil, err
		}
		if f.size < 0 {
			return nil, nil
		}
		if f.window > o.window() {
			return nil, fmt.Errorf("%s: %w: a window of %d bytes, and %d are allowed", Zstd, ErrWindow, f.window, o.window())
		}
		next, err := b.frameEnd(off, f)
		if err != nil {
			return nil, err
		}
		if f.size > 0 {
			empty = 0
		}
		if err := x.add(next-off, f.size, o); err != nil {
			return nil, err
		}
		off = next
	}
	return x, nil
}

// frameEnd walks the blocks of the frame at off.
func (w *walker) frameEnd(off int64, f zstdFrame) (int64, error) {
	for at := off + f.header; ; {
		b, err := w.at(at, zstdBlockHead)
		if err != nil {
			return 0, err
		}
		if len(b) < zstdBlockHead {
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
			if n > maxZstdBlock {
				return 0, corrupt(Zstd, at, "a block of %d bytes, more than there may be", n)
			}
		}
		at += zstdBlockHead + n
		if v&1 == 0 {
			continue
		}
		if f.checksum {
			at += 4
		}
		if at > w.size {
			return 0, corrupt(Zstd, off, "the file ends within a frame")
		}
		return at, nil
	}
}

// A walker reads small parts of a file that follow each other.
type walker struct {
	r    io.ReaderAt
	size int64
	buf  []byte
	off  int64 // of buf
}

const walkerBuffer = 64 << 10

// at returns n bytes at off, or fewer at the end of the file.
func (w *walker) at(off int64, n int) ([]byte, error) {
	if n = int(min(int64(n), w.size-off)); n <= 0 {
		return nil, nil
	}
	if off >= w.off && off+int64(n) <= w.off+int64(len(w.buf)) {
		return w.buf[off-w.off:][:n], nil
	}
	if w.buf == nil {
		w.buf = make([]byte, walkerBuffer)
	}
	// What is far from the last read is most often followed by what is as far.
	want := n
	if off < w.off+2*walkerBuffer {
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
