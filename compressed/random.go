package compressed

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"sync"

	"github.com/luksimg/luksimg/image"
	"github.com/luksimg/luksimg/internal/disk"
)

// A random reads a file by its index. Short units are decoded at once and kept for a while. For a long
// unit, a reader continues where the last read ended.
type random struct {
	f     *File
	cache *disk.Cache

	mu     sync.Mutex
	open   []*stream // most recently used last
	closed bool
}

// A stream reads a unit in order.
type stream struct {
	*InOrder
	unit  int
	users int
}

// wholeUnit is the maximum length of a unit that is decoded at once.
const wholeUnit = 2 << 20

// streamChunks is the number of chunks kept per unit: workers share a unit only briefly.
const streamChunks = 6

func newRandom(f *File) *random {
	return &random{f: f, cache: disk.NewCache(wholeUnit)}
}

// Size returns the length in bytes.
func (r *random) Size() int64 { return r.f.size }

// Group implements [image.Grouper]: one worker should read a unit.
func (r *random) Group(off int64) (start, end int64) {
	i := r.f.index.find(off)
	return r.f.index.units[i].off, r.f.index.next(i).off
}

// CanPush implements [image.Pusher].
func (r *random) CanPush() bool { return r.f.index.push != nil }

// Push implements [image.Pusher].
func (r *random) Push(ctx context.Context, workers int, do func(p []byte, off int64) error) error {
	return r.f.index.push(ctx, workers, do)
}

// ReadAt implements [io.ReaderAt].
func (r *random) ReadAt(p []byte, off int64) (n int, err error) {
	if off < 0 {
		return 0, errors.New("read at a negative offset")
	}
	x := r.f.index
	want := p[:max(0, min(int64(len(p)), r.f.size-off))]
	for n < len(want) {
		at := off + int64(n)
		i := x.find(at)
		part := want[n:][:min(int64(len(want)-n), x.next(i).off-at)]
		in := at - x.units[i].off
		var k int
		if size := x.size(i); size <= wholeUnit {
			k, err = r.cache.Read(part, disk.Unit{Key: uint64(i)}, in, size, func(dst []byte) error { return r.decode(dst, i) })
		} else {
			k, err = r.stream(part, i, in)
		}
		n += k
		if err != nil {
			return n, err
		}
	}
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// decode decodes a whole unit.
func (r *random) decode(dst []byte, i int) error {
	x := r.f.index
	u, packed := x.units[i], x.next(i).zoff-x.units[i].zoff
	if x.whole != nil {
		return x.whole(dst, u, x.next(i))
	}
	src := make([]byte, packed)
	if _, err := image.ReadFull(r.f.r, src, u.zoff); err != nil {
		return err
	}
	d, err := NewReader(context.Background(), bytes.NewReader(src), r.f.kind, r.f.file, r.f.o)
	if err != nil {
		return err
	}
	defer d.Close()
	if _, err := io.ReadFull(d, dst); err != nil {
		if err == io.EOF || err == io.ErrUnexpectedEOF {
			err = fmt.Errorf("%s: %w: the part at offset %d is shorter than its header says", r.f.kind, ErrCorrupt, u.zoff)
		}
		return err
	}
	return (&InOrder{size: int64(len(dst))}).end(d, dst)
}

// stream reads from a long unit.
func (r *random) stream(p []byte, i int, in int64) (int, error) {
	s, err := r.get(i)
	if err != nil {
		return 0, err
	}
	defer r.put(s)
	return s.ReadAt(p, in)
}

// get returns the stream of a unit, new or open.
func (r *random) get(i int) (*stream, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return nil, errClosed
	}
	for k, s := range r.open {
		if s.unit == i {
			copy(r.open[k:], r.open[k+1:])
			r.open[len(r.open)-1] = s
			s.users++
			return s, nil
		}
	}
	if len(r.open) > runtime.GOMAXPROCS(0) {
		for k, s := range r.open {
			if s.users == 0 {
				r.open = append(r.open[:k], r.open[k+1:]...)
				s.Close()
				break
			}
		}
	}
	s := &stream{unit: i, users: 1, InOrder: newInOrder(r.f.index.size(i), streamChunks, func(ctx context.Context) (io.ReadCloser, error) {
		if x := r.f.index; x.open != nil {
			return x.open(ctx, x.units[i], x.next(i)), nil
		}
		return NewReader(ctx, r.f.index.section(r.f.r, i), r.f.kind, r.f.file, r.f.o)
	})}
	r.open = append(r.open, s)
	return s, nil
}

func (r *random) put(s *stream) {
	r.mu.Lock()
	defer r.mu.Unlock()
	s.users--
}

func (r *random) close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed = true
	for _, s := range r.open {
		s.Close()
	}
	r.open = nil
	return nil
}
