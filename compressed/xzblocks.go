package compressed

import (
	"context"
	"io"
	"math"
	"sync"
	"sync/atomic"

	"github.com/luksimg/luksimg/image"
	"github.com/luksimg/luksimg/internal/xz"
)

// xzBlocks are the blocks of an xz file, from its index.
type xzBlocks struct{ *xz.File }

// maxPushDict bounds the dictionary for decoding two blocks at a time. Each worker has two
// dictionaries, and a quarter of them in addition.
const maxPushDict = 16 << 20

// whole decodes the blocks of a unit.
func (x xzBlocks) whole(dst []byte, from, to unit) error {
	for n := from.part; n < to.part; n++ {
		size := x.Blocks()[n].Size
		if err := x.Decode(n, dst[:size:size]); err != nil {
			return xzError(err)
		}
		dst = dst[size:]
	}
	return nil
}

// open reads the blocks of a unit in order.
func (x xzBlocks) open(ctx context.Context, from, to unit) io.ReadCloser {
	out, in := io.Pipe()
	go func() {
		var err error
		for n := from.part; n < to.part && err == nil && ctx.Err() == nil; n++ { // the blocks are decoded one after the other
			left := 1
			err = x.Stream(func() (int, bool) {
				left--
				return n, left == 0
			}, func(_ int64, p []byte) error {
				_, err := in.Write(p)
				return err
			})
		}
		in.CloseWithError(xzError(err)) // nil means io.EOF
	}()
	return out
}

// aligned reports whether there are several blocks, and each starts at a multiple of [image.PushUnit].
func (x xzBlocks) aligned() bool {
	for _, b := range x.Blocks() {
		if b.Offset%image.PushUnit != 0 {
			return false
		}
	}
	return len(x.Blocks()) > 1
}

// dict returns the length of the longest dictionary of the first blocks, or a very large one if a
// header cannot be read. See "The .xz File Format", 3.1 and 5.3.1.
func (x xzBlocks) dict(r io.ReaderAt) (most int64) {
	for _, b := range x.Blocks()[:min(len(x.Blocks()), 16)] {
		head := make([]byte, min(1024, b.Packed))
		if _, err := image.ReadFull(r, head, b.Start); err != nil {
			return math.MaxInt64
		}
		most = max(most, min(b.Size, xzDict(head)))
	}
	return most
}

// xzDict returns the dictionary length in the header of a block.
func xzDict(head []byte) int64 {
	const lzma2 = 0x21
	size := (int(head[0]) + 1) * 4
	if size > len(head) || size < 8 {
		return math.MaxInt64
	}
	b := head[2:size]
	skip := func() { // a variable-length integer
		for len(b) > 0 && b[0]&0x80 != 0 {
			b = b[1:]
		}
		b = b[min(1, len(b)):]
	}
	for _, flag := range []byte{0x40, 0x80} {
		if head[1]&flag != 0 {
			skip()
		}
	}
	for range head[1]&3 + 1 {
		if len(b) < 3 {
			break
		}
		id, n := b[0], int(b[1])
		if id == lzma2 && n == 1 && b[2] < 40 {
			return int64(2|b[2]&1) << (b[2]/2 + 11)
		}
		if b = b[2:]; n > len(b) {
			break
		}
		b = b[n:]
	}
	return math.MaxInt64
}

// push decodes all blocks. Each worker decodes two alternately.
func (x xzBlocks) push(ctx context.Context, workers int, do func(p []byte, off int64) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var taken atomic.Int64
	next := func() (int, bool) {
		for ctx.Err() == nil {
			n := int(taken.Add(1)) - 1
			if n >= len(x.Blocks()) || x.Blocks()[n].Size > 0 {
				return n, n < len(x.Blocks())
			}
		}
		return 0, false
	}
	var wg sync.WaitGroup
	for range max(1, min(workers, len(x.Blocks()))) {
		wg.Go(func() {
			a := aligner{do: do, ends: map[int64][]byte{}, size: x.Size()}
			err := x.Stream(next, func(off int64, p []byte) error {
				if err := context.Cause(ctx); err != nil {
					return err
				}
				return a.add(p, off)
			})
			if err != nil {
				cancel(xzError(err))
			}
		})
	}
	wg.Wait()
	return context.Cause(ctx)
}

// An aligner passes on parts at aligned offsets. Bytes after the last aligned offset wait for those
// that follow.
type aligner struct {
	do   func(p []byte, off int64) error
	ends map[int64][]byte // the waiting bytes, by their end offset
	size int64
}

func (a *aligner) add(p []byte, off int64) error {
	if rest, ok := a.ends[off]; ok {
		delete(a.ends, off)
		start := off - int64(len(rest))
		n := min(image.PushUnit-len(rest), len(p))
		rest = append(rest, p[:n]...)
		p, off = p[n:], off+int64(n)
		if len(rest) < image.PushUnit && off < a.size {
			a.ends[off] = rest
			return nil
		}
		if err := a.do(rest, start); err != nil {
			return err
		}
	}
	if n := len(p) % image.PushUnit; n > 0 && off+int64(len(p)) < a.size {
		rest := make([]byte, n, image.PushUnit)
		copy(rest, p[len(p)-n:])
		a.ends[off+int64(len(p))] = rest
		p = p[:len(p)-n]
	}
	if len(p) == 0 {
		return nil
	}
	return a.do(p, off)
}
