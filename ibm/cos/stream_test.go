package cos_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"testing/iotest"

	"github.com/luksimg/luksimg/ibm/cos"
)

func TestUploadStream(t *testing.T) {
	both(t, func(t *testing.T, s *service, c *cos.Client) {
		for _, size := range []int{0, 1, 5 * mib, 5*mib + 1, 10 * mib, 12*mib + 345} {
			b := noise(size, 8)
			for _, known := range []int64{0, int64(size)} {
				var done atomic.Int64
				n, err := c.UploadStream(ctx, object("x"), iotest.HalfReader(bytes.NewReader(b)), cos.StreamOptions{Size: known, PartSize: 5 * mib, Progress: func(n int64) { done.Add(n) }})
				if err != nil || n != int64(size) || done.Load() != int64(size) {
					t.Errorf("%d bytes: %d, progress %d, %v", size, n, done.Load(), err)
				}
				if !bytes.Equal(s.stored(t, "x"), b) {
					t.Errorf("%d bytes: the object differs from the source", size)
				}
			}
		}
		// Without a part size too.
		b := noise(9*mib, 9)
		if _, err := c.UploadStream(ctx, object("x"), bytes.NewReader(b), cos.StreamOptions{}); err != nil {
			t.Error(err)
		}
		if !bytes.Equal(s.stored(t, "x"), b) {
			t.Error("the object differs from the source")
		}
		clean(t, c)
	})
}

func TestStreamFails(t *testing.T) {
	s := newService(t)
	c := client(t, cos.Options{Endpoint: s.URL, HMAC: hmacKey()})
	b := noise(12*mib, 10)
	gone := func(what string) {
		t.Helper()
		clean(t, c)
		if _, err := c.Head(ctx, object("x")); !errors.Is(err, cos.ErrNotFound) {
			t.Errorf("%s: the object exists: %v", what, err)
		}
	}
	for _, size := range []int64{12*mib - 1, 12*mib + 1, 1, 10 * mib} {
		if _, err := c.UploadStream(ctx, object("x"), bytes.NewReader(b), cos.StreamOptions{Size: size, PartSize: 5 * mib}); err == nil {
			t.Errorf("announced %d bytes: no error", size)
		}
		gone("wrong size")
	}
	broken := errors.New("broken")
	r := io.MultiReader(bytes.NewReader(b), iotest.ErrReader(broken))
	if _, err := c.UploadStream(ctx, object("x"), r, cos.StreamOptions{PartSize: 5 * mib}); !errors.Is(err, broken) {
		t.Errorf("source fails: %v", err)
	}
	gone("source fails")

	s.breaks(func(w http.ResponseWriter, r *http.Request) bool {
		if r.URL.Query().Get("partNumber") == "2" {
			w.WriteHeader(http.StatusForbidden)
			return true
		}
		return false
	})
	if _, err := c.UploadStream(ctx, object("x"), bytes.NewReader(b), cos.StreamOptions{PartSize: 5 * mib}); !errors.Is(err, cos.ErrAccess) {
		t.Errorf("part is refused: %v", err)
	}
	s.breaks(nil)
	gone("part is refused")

	w, err := c.NewWriter(ctx, object("x"), cos.StreamOptions{PartSize: 5 * mib})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(b); err != nil {
		t.Fatal(err)
	}
	if err := w.Abort(); err != nil {
		t.Error(err)
	}
	if _, err := w.Write(b); !errors.Is(err, cos.ErrAborted) {
		t.Errorf("write after abort: %v", err)
	}
	if err := w.Close(); !errors.Is(err, cos.ErrAborted) {
		t.Errorf("close after abort: %v", err)
	}
	gone("aborted")

	stop, cancel := context.WithCancel(ctx)
	w, _ = c.NewWriter(stop, object("x"), cos.StreamOptions{PartSize: 5 * mib})
	w.Write(b)
	cancel()
	if err := w.Close(); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	gone("cancelled")
}

// TestSink writes like an encryption: pieces in roughly ascending order from several
// goroutines, the header last, and gaps.
func TestSink(t *testing.T) {
	both(t, func(t *testing.T, s *service, c *cos.Client) {
		for _, size := range []int{0, 100, 5 * mib, 5*mib + 1, 23*mib + 17} {
			b := noise(size, 11)
			clear(b[min(size, 4096):min(size, 1*mib)]) // a gap after the header
			clear(b[min(size, 10*mib):min(size, 15*mib)])
			var done atomic.Int64
			k, err := c.NewSink(ctx, object("x"), int64(size), cos.SinkOptions{PartSize: 5 * mib, Open: 6, Progress: func(n int64) { done.Add(n) }})
			if err != nil {
				t.Fatal(err)
			}
			var next atomic.Int64
			next.Store(1 * mib)
			var wg sync.WaitGroup
			for range 3 {
				wg.Go(func() {
					for {
						off := int(next.Add(300_000)) - 300_000
						if off >= size {
							return
						}
						end := min(off+300_000, size)
						if off >= 10*mib && end <= 15*mib {
							continue
						}
						if _, err := k.WriteAt(b[off:end], int64(off)); err != nil {
							t.Error(err)
							return
						}
					}
				})
			}
			wg.Wait()
			if _, err := k.WriteAt(b[:min(size, 4096)], 0); err != nil {
				t.Error(err)
			}
			if err := k.Close(); err != nil {
				t.Fatalf("%d bytes: %v", size, err)
			}
			if !bytes.Equal(s.stored(t, "x"), b) {
				t.Errorf("%d bytes: the object differs from the written data", size)
			}
			if done.Load() != int64(size) {
				t.Errorf("%d bytes: progress %d", size, done.Load())
			}
		}
		clean(t, c)
	})
}

// TestSinkOrder writes pieces of all lengths in random order.
func TestSinkOrder(t *testing.T) {
	s := newService(t)
	c := client(t, cos.Options{Endpoint: s.URL, HMAC: hmacKey()})
	rng := rand.New(rand.NewPCG(1, 2))
	b := noise(16*mib, 12)
	k, err := c.NewSink(ctx, object("x"), int64(len(b)), cos.SinkOptions{PartSize: 5 * mib})
	if err != nil {
		t.Fatal(err)
	}
	var cuts []int
	for off := 0; off < len(b); off += 1 + rng.IntN(400_000) {
		cuts = append(cuts, off)
	}
	for _, i := range rng.Perm(len(cuts)) {
		end := len(b)
		if i+1 < len(cuts) {
			end = cuts[i+1]
		}
		if _, err := k.WriteAt(b[cuts[i]:end], int64(cuts[i])); err != nil {
			t.Fatal(err)
		}
	}
	if err := k.Close(); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(s.stored(t, "x"), b) {
		t.Error("the object differs from the written data")
	}
}

func TestSinkRefuses(t *testing.T) {
	s := newService(t)
	c := client(t, cos.Options{Endpoint: s.URL, HMAC: hmacKey()})
	k, err := c.NewSink(ctx, object("x"), 30*mib, cos.SinkOptions{PartSize: 5 * mib, Open: 2})
	if err != nil {
		t.Fatal(err)
	}
	one := []byte{1}
	for _, off := range []int64{-1, 30 * mib, 1 << 62} {
		if _, err := k.WriteAt(one, off); err == nil {
			t.Errorf("write at %d accepted", off)
		}
	}
	for i, off := range []int64{0, 5 * mib, 10 * mib} {
		if _, err := k.WriteAt(one, off); (err != nil) != (i == 2) {
			t.Errorf("write to part %d: %v", i, err)
		}
	}
	if _, err := k.WriteAt(make([]byte, 5*mib), 0); err != nil {
		t.Error(err)
	}
	if _, err := k.WriteAt(one, 7); err == nil {
		t.Error("write to a sent part accepted")
	}
	if err := k.Abort(); err != nil {
		t.Error(err)
	}
	if err := k.Close(); !errors.Is(err, cos.ErrAborted) {
		t.Errorf("close after abort: %v", err)
	}
	if _, err := k.WriteAt(one, 10*mib); !errors.Is(err, cos.ErrAborted) {
		t.Errorf("write after abort: %v", err)
	}
	clean(t, c)
}

// TestStreamFaults uploads a stream and downloads it while the service is faulty.
func TestStreamFaults(t *testing.T) {
	both(t, func(t *testing.T, s *service, c *cos.Client) {
		b := noise(22*mib, 13)
		for i, fault := range []func(http.ResponseWriter, *http.Request) bool{badly(3, answer500), badly(3, drop), badly(3, s.dropAnswer),
			badly(5, s.expire)} {
			s.breaks(fault)
			o := object(fmt.Sprint("x", i))
			if _, err := c.UploadStream(ctx, o, bytes.NewReader(b), cos.StreamOptions{PartSize: 5 * mib}); err != nil {
				t.Errorf("fault %d: %v", i, err)
				continue
			}
			var f file
			r, err := c.Download(ctx, o, &f, cos.DownloadOptions{})
			if err != nil || !bytes.Equal(f.b, b) || !r.Verified {
				t.Errorf("fault %d: download: %+v, %v", i, r, err)
			}
			s.breaks(nil)
		}
		clean(t, c)
	})
}
