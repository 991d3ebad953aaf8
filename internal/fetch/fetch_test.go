package fetch

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/iotest"
	"time"

	"github.com/luksimg/luksimg/internal/imagetest"
	"github.com/luksimg/luksimg/internal/rest/resttest"
)

func clock() *resttest.Clock { return resttest.NewClock(time.Unix(0, 0)) }

var errServer = errors.New("the server said so")

func TestAttempts(t *testing.T) {
	canceled, cancel := context.WithCancelCause(t.Context())
	cancel(errServer)
	for name, c := range map[string]struct {
		ctx    context.Context
		errs   []error
		a      Attempts
		calls  int
		want   error
		longer time.Duration // minimum total of the pauses
	}{
		"at once":       {t.Context(), nil, Attempts{}, 1, nil, 0},
		"later":         {t.Context(), []error{io.EOF, io.EOF}, Attempts{}, 3, nil, 300 * time.Millisecond},
		"final":         {t.Context(), []error{Final(errServer)}, Attempts{}, 1, errServer, 0},
		"too often":     {t.Context(), slices.Repeat([]error{io.EOF}, 20), Attempts{Max: 4}, 4, io.EOF, 0},
		"by default":    {t.Context(), slices.Repeat([]error{io.EOF}, 20), Attempts{}, 10, io.EOF, 20 * time.Second},
		"is cancelled":  {canceled, []error{io.EOF}, Attempts{}, 1, errServer, 0},
		"does not pass": {t.Context(), []error{errServer}, Attempts{Passing: func(error) (bool, time.Duration) { return false, 0 }}, 1, errServer, 0},
		"asks for time": {t.Context(), []error{io.EOF}, Attempts{Passing: func(error) (bool, time.Duration) { return true, time.Minute }}, 2, nil, time.Minute},
		"for too much":  {t.Context(), []error{io.EOF}, Attempts{Passing: func(error) (bool, time.Duration) { return true, time.Hour }}, 2, nil, 2 * time.Minute},
	} {
		k, calls := clock(), 0
		c.a.Clock = k
		err := c.a.Do(c.ctx, func() error {
			calls++
			if calls <= len(c.errs) {
				return c.errs[calls-1]
			}
			return nil
		})
		if err != c.want || calls != c.calls {
			t.Errorf("%s: %v after %d calls", name, err, calls)
		}
		var all time.Duration
		for _, w := range k.Waits() {
			all += w
		}
		if all < c.longer || c.longer == 2*time.Minute && all > c.longer {
			t.Errorf("%s: pauses of %v, want %v", name, all, c.longer)
		}
	}
}

// A file is a file on a server. Its bodies break after some bytes, unless that is 0.
type file struct {
	b      []byte
	breaks func() int
	gets   atomic.Int64
}

func (f *file) get(_ context.Context, off, end int64) (io.ReadCloser, error) {
	f.gets.Add(1)
	b := f.b[off:end]
	if f.breaks == nil {
		return io.NopCloser(bytes.NewReader(b)), nil
	}
	n := min(f.breaks(), len(b))
	if n == len(b) {
		return io.NopCloser(bytes.NewReader(b)), nil
	}
	if n%2 == 0 { // a truncated body
		return io.NopCloser(bytes.NewReader(b[:n])), nil
	}
	return io.NopCloser(io.MultiReader(bytes.NewReader(b[:n]), iotest.ErrReader(errServer))), nil
}

func TestRange(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	f := &file{b: imagetest.Noise(7<<20, 1)}
	for name, c := range map[string]struct {
		breaks func() int
		want   error
	}{
		"sound":              {nil, nil},
		"breaks":             {func() int { return rnd.IntN(3 << 20) }, nil},
		"after a megabyte":   {func() int { return 1 << 20 }, nil}, // breaks more often than there are attempts
		"never brings much":  {func() int { return 1000 }, io.ErrUnexpectedEOF},
		"never brings a lot": {func() int { return 99999 }, errServer},
	} {
		f.breaks = c.breaks
		var got []byte
		n, err := Attempts{Max: 3, Clock: clock()}.Range(t.Context(), f.get, 77, 6<<20, func(b []byte, at int64) error {
			if at != 77+int64(len(got)) {
				t.Fatalf("%s: data at %d after %d bytes", name, at, len(got))
			}
			got = append(got, b...)
			return nil
		})
		if !errors.Is(err, c.want) || n != int64(len(got)) || !bytes.Equal(got, f.b[77:][:n]) || err == nil && n != 6<<20 || err != nil && !errors.As(err, new(*BrokenError)) {
			t.Errorf("%s: %d bytes, %v", name, n, err)
		}
	}
	_, err := Attempts{Clock: clock()}.Range(t.Context(), f.get, 0, 10, func([]byte, int64) error { return io.ErrShortWrite })
	if err != io.ErrShortWrite {
		t.Errorf("failing take: %v", err)
	}
}

// TestParts reads from a server that answers with parts of the range.
func TestParts(t *testing.T) {
	const n = 3 << 20
	b := imagetest.Noise(n, 2)
	body := func(b []byte) io.ReadCloser { return io.NopCloser(bytes.NewReader(b)) }
	for name, c := range map[string]struct {
		max  int
		get  func(call int, off, end int64) (io.ReadCloser, error)
		want error
		got  int64 // bytes
		gets int
		wait int // number of pauses
	}{
		"of 64 KiB": {1, func(_ int, off, end int64) (io.ReadCloser, error) {
			return Part(body(b[off:end]), min(64<<10, end-off)), nil
		}, nil, n, n / (64 << 10), 0},
		"of 1000 bytes": {1, func(_ int, off, end int64) (io.ReadCloser, error) {
			return Part(body(b[off:end]), min(1000, end-off)), nil
		}, nil, n, (n + 999) / 1000, 0},
		"larger than the range": {1, func(_ int, off, end int64) (io.ReadCloser, error) { return Part(body(b[off:end]), n+1), nil }, nil, n, 1, 0},
		"without bytes":         {4, func(int, int64, int64) (io.ReadCloser, error) { return Part(body(b), 0), nil }, io.ErrUnexpectedEOF, 0, 4, 3},
		"of negative length":    {4, func(int, int64, int64) (io.ReadCloser, error) { return Part(body(b), -1), nil }, io.ErrUnexpectedEOF, 0, 4, 3},
		"that break":            {4, func(_ int, off, end int64) (io.ReadCloser, error) { return Part(body(b[off:off+999]), 1000), nil }, io.ErrUnexpectedEOF, 4 * 999, 4, 3},
		"and refusals": {4, func(call int, off, end int64) (io.ReadCloser, error) {
			if call%2 == 0 {
				return nil, errServer
			}
			return Part(body(b[off:end]), 1000), nil
		}, errServer, 4 * 1000, 8, 3},
		"and refusals after a megabyte": {2, func(call int, off, end int64) (io.ReadCloser, error) {
			if call%3 == 0 {
				return nil, errServer
			}
			return Part(body(b[off:end]), min(512<<10, end-off)), nil
		}, nil, n, 8, 2},
		"and a final refusal": {4, func(call int, off, end int64) (io.ReadCloser, error) {
			if call == 4 {
				return nil, Final(errServer)
			}
			return Part(body(b[off:end]), 512<<10), nil
		}, errServer, 3 * 512 << 10, 4, 0},
	} {
		k, calls := clock(), 0
		var got []byte
		read, err := Attempts{Max: c.max, Clock: k}.Range(t.Context(), func(_ context.Context, off, end int64) (io.ReadCloser, error) {
			calls++
			return c.get(calls, off, end)
		}, 0, n, func(p []byte, at int64) error {
			if at != int64(len(got)) {
				t.Fatalf("parts %s: data at %d after %d bytes", name, at, len(got))
			}
			got = append(got, p...)
			return nil
		})
		if !errors.Is(err, c.want) || read != c.got || !bytes.Equal(got, b[:read]) || calls != c.gets || len(k.Waits()) != c.wait {
			t.Errorf("parts %s: %d bytes, %v, after %d requests and %d pauses", name, read, err, calls, len(k.Waits()))
		}
	}
}

func TestWatch(t *testing.T) {
	r, w := io.Pipe()
	watch := NewWatch(t.Context(), time.Millisecond)
	body := watch.Body(r)
	context.AfterFunc(watch.Context(), func() { w.CloseWithError(errServer) })
	if _, err := body.Read(make([]byte, 1)); err != ErrStalled {
		t.Errorf("stalled body: %v", err)
	}
	body.Close()
	watch = NewWatch(t.Context(), time.Hour)
	body = watch.Body(io.NopCloser(iotest.ErrReader(errServer)))
	if _, err := body.Read(make([]byte, 1)); err != errServer {
		t.Errorf("broken body: %v", err)
	}
	if body.Close(); watch.Context().Err() == nil {
		t.Error("closed request continues")
	}
}

// A remote has a reader of a file, and records its requests.
type remote struct {
	file
	*Reader

	mu    sync.Mutex
	asked []int64 // offset, length, offset ...
	fails func(off int64) error
}

func newRemote(t *testing.T, size int64) *remote {
	f := &remote{file: file{b: imagetest.Noise(size, uint64(size))}}
	f.Reader = NewReader(t.Context(), "disk", size, func(ctx context.Context, off, n int64, take func([]byte, int64) error) error {
		f.mu.Lock()
		f.asked = append(f.asked, off, n)
		f.mu.Unlock()
		if f.fails != nil {
			if err := f.fails(off); err != nil {
				return err
			}
		}
		_, err := Attempts{Clock: clock()}.Range(ctx, f.get, off, n, take)
		return err
	})
	t.Cleanup(func() { f.Close() })
	return f
}

// buffers returns the number of blocks after all requests have ended. It fails the test if any block is
// still in use.
func (f *remote) buffers(t *testing.T) int {
	f.under.Wait()
	f.mu.Lock()
	defer f.mu.Unlock()
	f.Reader.mu.Lock()
	defer f.Reader.mu.Unlock()
	for _, b := range f.blocks {
		if b.refs != 0 {
			t.Errorf("block %d is in use %d times", b.index, b.refs)
		}
	}
	return len(f.blocks) + len(f.free)
}

// TestSource runs the tests of all sources.
func TestSource(t *testing.T) {
	for _, size := range []int64{0, 1, blockSize - 1, blockSize, 5*blockSize + 77} {
		f := newRemote(t, size)
		imagetest.Source(t, f, f.b)
	}
	f := newRemote(t, 40*blockSize)
	f.breaks = func() int { return rand.IntN(3 << 20) }
	imagetest.Source(t, f, f.b)
	if n := f.buffers(t); n > cacheBlocks {
		t.Errorf("%d blocks allocated", n)
	}
	if _, err := f.ReadAt(nil, -1); err == nil {
		t.Error("negative offset accepted")
	}
}

// TestOrder reads sequentially, in small and large pieces: each byte is requested once, in large requests.
func TestOrder(t *testing.T) {
	for _, piece := range []int64{4096, 100_000, 1 << 20, 3 << 20, 20 << 20} {
		f := newRemote(t, 64*blockSize+1234)
		r := io.NewSectionReader(f, 0, f.Size())
		got := make([]byte, f.Size())
		for at := int64(0); at < f.Size(); at += piece {
			if _, err := io.ReadFull(r, got[at:min(at+piece, f.Size())]); err != nil {
				t.Fatal(err)
			}
		}
		if !bytes.Equal(got, f.b) {
			t.Errorf("pieces of %d: content differs from the file", piece)
		}
		made := f.buffers(t)
		var sum int64
		for i := 1; i < len(f.asked); i += 2 {
			sum += f.asked[i]
		}
		if sum != f.Size() || len(f.asked)/2 > 24 || made > cacheBlocks {
			t.Errorf("pieces of %d: %d bytes by %d requests, %d blocks", piece, sum, len(f.asked)/2, made)
		}
	}
}

// TestNoOrder reads at random offsets: the reader requests one block at a time, without read-ahead.
func TestNoOrder(t *testing.T) {
	f := newRemote(t, 160*blockSize)
	rnd := rand.New(rand.NewPCG(3, 4))
	var most int
	for _, i := range rnd.Perm(16) {
		at := int64(i)*10*blockSize + rnd.Int64N(blockSize-100)
		p := make([]byte, 100)
		if _, err := f.ReadAt(p, at); err != nil || !bytes.Equal(p, f.b[at:][:100]) {
			t.Fatalf("at %d: %v", at, err)
		}
		most++
	}
	if f.buffers(t); len(f.asked)/2 != most || slices.Max(f.asked[1:2]) != blockSize {
		t.Errorf("%d reads, requested %v", most, f.asked)
	}
}

// TestMany uses more readers than blocks: each gets its data, without additional memory.
func TestMany(t *testing.T) {
	f := newRemote(t, 70*blockSize+5)
	var wg sync.WaitGroup
	for i := range 50 {
		wg.Go(func() {
			rnd := rand.New(rand.NewPCG(5, uint64(i)))
			for range 6 {
				off := rnd.Int64N(f.Size())
				p := make([]byte, rnd.Int64N(min(f.Size()-off, 12*blockSize))+1)
				if _, err := f.ReadAt(p, off); err != nil || !bytes.Equal(p, f.b[off:][:len(p)]) {
					t.Errorf("%d bytes at %d: %v", len(p), off, err)
				}
			}
		})
	}
	wg.Wait()
	if n := f.buffers(t); n > cacheBlocks {
		t.Errorf("%d blocks allocated", n)
	}
}

// TestFails checks that an error affects only the waiting reads, and that the next read retries.
func TestFails(t *testing.T) {
	f := newRemote(t, 40*blockSize)
	var broken atomic.Bool
	broken.Store(true)
	f.fails = func(off int64) error {
		if broken.Load() && off >= 20*blockSize {
			return fmt.Errorf("at %d: %w", off, errServer)
		}
		return nil
	}
	p := make([]byte, f.Size())
	n, err := f.ReadAt(p, 0)
	if !errors.Is(err, errServer) || n < 16*blockSize || !bytes.Equal(p[:n], f.b[:n]) {
		t.Errorf("%d bytes, %v", n, err)
	}
	f.under.Wait()
	broken.Store(false)
	if _, err := f.ReadAt(p, 0); err != nil || !bytes.Equal(p, f.b) {
		t.Errorf("retry: %v", err)
	}
	if n := f.buffers(t); n > cacheBlocks {
		t.Errorf("%d blocks allocated", n)
	}
}

// TestEarlyEnd checks that a fetch that ends early without an error is an error.
func TestEarlyEnd(t *testing.T) {
	r := NewReader(t.Context(), "disk", 100, func(context.Context, int64, int64, func([]byte, int64) error) error { return nil })
	defer r.Close()
	if _, err := r.ReadAt(make([]byte, 10), 0); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Error(err)
	}
}

// TestClose cancels reads that wait for a server, and reads that wait for room.
// TestLargest reads the end of the largest file that a server can claim to have.
func TestLargest(t *testing.T) {
	const size = math.MaxInt64
	r := NewReader(t.Context(), "disk", size, func(_ context.Context, off, n int64, take func([]byte, int64) error) error {
		if off < 0 || n <= 0 || off > size-n {
			t.Errorf("%d bytes at %d are requested", n, off)
			return errServer
		}
		b := make([]byte, n)
		for i := range b {
			b[i] = byte(off + int64(i))
		}
		return take(b, off)
	})
	defer r.Close()
	for range 4 { // the third read in a row begins to read ahead
		for _, off := range []int64{size - 3*blockSize, size - 512, size - 1} {
			p := make([]byte, min(8<<10, size-off))
			n, err := r.ReadAt(p, off)
			if n != len(p) || err != nil || p[0] != byte(off) || p[n-1] != byte(off+int64(n)-1) {
				t.Errorf("at %d: %d bytes, %v", off, n, err)
			}
		}
	}
	if n, err := r.ReadAt(make([]byte, 8), size-1); n != 1 || err != io.EOF {
		t.Errorf("across the end: %d bytes, %v", n, err)
	}
}

func TestClose(t *testing.T) {
	r := NewReader(t.Context(), "disk", 1<<40, func(ctx context.Context, _, _ int64, _ func([]byte, int64) error) error {
		<-ctx.Done()
		return context.Cause(ctx)
	})
	var wg sync.WaitGroup
	for i := range 50 {
		wg.Go(func() {
			if _, err := r.ReadAt(make([]byte, 10), int64(i)<<30); err == nil {
				t.Error("read succeeded without data")
			}
		})
	}
	for { // until all blocks are requested
		r.mu.Lock()
		n := len(r.blocks)
		r.mu.Unlock()
		if n == cacheBlocks {
			break
		}
		time.Sleep(time.Millisecond)
	}
	r.Close()
	wg.Wait()
	if _, err := r.ReadAt(make([]byte, 10), 0); err == nil {
		t.Error("read after Close succeeded")
	}
}
