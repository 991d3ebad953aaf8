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
	"github.com/luksimg/luksimg/image"
)

func TestDownload(t *testing.T) {
	both(t, func(t *testing.T, s *service, c *cos.Client) {
		for _, size := range []int{0, 1, 5*mib + 1, 17*mib + 12345} {
			b := noise(size, 20)
			if _, err := c.Upload(ctx, object("x"), bytes.NewReader(b), int64(size), cos.UploadOptions{PartSize: 5 * mib}); err != nil {
				t.Fatal(err)
			}
			var done atomic.Int64
			var w writerAt
			r, err := c.Download(ctx, object("x"), &w, cos.DownloadOptions{Progress: func(n int64) { done.Add(n) }})
			if err != nil || !r.Verified || r.Size != int64(size) || done.Load() != int64(size) {
				t.Errorf("%d bytes: %+v, progress %d, %v", size, r, done.Load(), err)
			}
			if !bytes.Equal(w.b, b) {
				t.Errorf("%d bytes: content differs from the object", size)
			}
		}
		// Stored in one request, and so large that the download uses two.
		b := noise(17*mib, 21)
		if err := s.s3.Put(account, "images", "one", bytes.NewReader(b)); err != nil {
			t.Fatal(err)
		}
		var w writerAt
		if r, err := c.Download(ctx, object("one"), &w, cos.DownloadOptions{}); err != nil || r.Verified || !bytes.Equal(w.b, b) {
			t.Errorf("into an io.WriterAt only: %+v, %v", r, err)
		}
		var f file
		if r, err := c.Download(ctx, object("one"), &f, cos.DownloadOptions{}); err != nil || !r.Verified || !bytes.Equal(f.b, b) {
			t.Errorf("into a file: %+v, %v", r, err)
		}
	})
}

// TestDownloadFaults downloads while connections break in the middle of bodies.
func TestDownloadFaults(t *testing.T) {
	s := newService(t)
	c := client(t, cos.Options{Endpoint: s.URL, Tokens: &tokenSource{s: s}})
	b := noise(40*mib, 22)
	if _, err := c.Upload(ctx, object("x"), bytes.NewReader(b), int64(len(b)), cos.UploadOptions{PartSize: 10 * mib}); err != nil {
		t.Fatal(err)
	}
	for name, fault := range map[string]func(http.ResponseWriter, *http.Request) bool{
		"500":    badly(2, answer500),
		"expiry": badly(4, s.expire),
		"broken bodies": func(w http.ResponseWriter, r *http.Request) bool {
			if r.Method != "GET" {
				return false
			}
			s.s3.ServeHTTP(&short{ResponseWriter: w, left: rand.IntN(3 * mib)}, r)
			return true
		},
	} {
		s.breaks(fault)
		var f file
		r, err := c.Download(ctx, object("x"), &f, cos.DownloadOptions{Jobs: 2})
		s.breaks(nil)
		if err != nil || !r.Verified || !bytes.Equal(f.b, b) {
			t.Errorf("%s: %+v, %v", name, r, err)
		}
	}
}

// short breaks the connection after a number of bytes.
type short struct {
	http.ResponseWriter
	left int
}

func (s *short) Write(p []byte) (int, error) {
	if len(p) > s.left {
		s.ResponseWriter.Write(p[:s.left])
		s.ResponseWriter.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	}
	s.left -= len(p)
	return s.ResponseWriter.Write(p)
}

func TestDownloadResume(t *testing.T) {
	s := newService(t)
	c := client(t, cos.Options{Endpoint: s.URL, HMAC: hmacKey()})
	b := noise(26*mib, 23)
	if _, err := c.Upload(ctx, object("x"), bytes.NewReader(b), int64(len(b)), cos.UploadOptions{PartSize: 5 * mib}); err != nil {
		t.Fatal(err)
	}
	var f file
	var m memory
	var gets atomic.Int64
	s.breaks(func(w http.ResponseWriter, r *http.Request) bool {
		return r.Method == "GET" && gets.Add(1) > 3 && answer403(w, r)
	})
	if _, err := c.Download(ctx, object("x"), &f, cos.DownloadOptions{Jobs: 1, State: &m}); !errors.Is(err, cos.ErrAccess) {
		t.Fatal(err)
	}
	s.breaks(nil)
	f.b[7]++ // lost in a crash
	r, err := c.Download(ctx, object("x"), &f, cos.DownloadOptions{State: &m})
	if err != nil || !r.Verified || r.Found != 10*mib || !bytes.Equal(f.b, b) || m.b != nil {
		t.Errorf("%+v, %v", r, err)
	}
	// The object is replaced during the download.
	m.b = m.saves[len(m.saves)-1]
	if err := s.s3.Put(account, "images", "x", bytes.NewReader(b[1:])); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Download(ctx, object("x"), &f, cos.DownloadOptions{State: &m}); !errors.Is(err, cos.ErrChanged) {
		t.Errorf("state of another version: %v", err)
	}
	for _, text := range []string{"{", "{}", `{"version":1,"size":10,"chunk_size":0}`, `{"version":1,"size":10,"chunk_size":10,"md5":["xx"]}`} {
		if _, err := c.Download(ctx, object("x"), &f, cos.DownloadOptions{State: &memory{b: []byte(text)}}); err == nil {
			t.Errorf("state %s accepted", text)
		}
	}
	if _, err := c.Download(ctx, object("x"), &writerAt{}, cos.DownloadOptions{State: &memory{}}); err == nil {
		t.Error("resumable download into an io.WriterAt only accepted")
	}
}

func answer403(w http.ResponseWriter, r *http.Request) bool {
	w.WriteHeader(http.StatusForbidden)
	io.WriteString(w, "<Error><Code>AccessDenied</Code></Error>")
	return true
}

// TestDownloadWrong checks that changed or damaged content is always an error.
func TestDownloadWrong(t *testing.T) {
	s := newService(t)
	c := client(t, cos.Options{Endpoint: s.URL, HMAC: hmacKey()})
	b := noise(26*mib, 24)
	up := func(b []byte) {
		if _, err := c.Upload(ctx, object("x"), bytes.NewReader(b), int64(len(b)), cos.UploadOptions{PartSize: 5 * mib}); err != nil {
			t.Fatal(err)
		}
	}
	up(b)
	r, err := c.Open(ctx, object("x"))
	if err != nil {
		t.Fatal(err)
	}
	var once sync.Once
	s.breaks(func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method == "GET" {
			once.Do(func() { s.s3.Put(account, "images", "x", bytes.NewReader(b[1:])) })
		}
		return false
	})
	if _, err := c.Download(ctx, object("x"), &file{}, cos.DownloadOptions{}); !errors.Is(err, cos.ErrChanged) {
		t.Errorf("replaced meanwhile: %v", err)
	}
	if _, err := r.ReadAt(make([]byte, 10), 0); !errors.Is(err, cos.ErrChanged) {
		t.Errorf("replaced after Open: %v", err)
	}
	s.breaks(func(_ http.ResponseWriter, r *http.Request) bool {
		r.Header.Del("If-Match") // like versitygw during a replacement
		return false
	})
	if _, err := r.ReadAt(make([]byte, 10), 0); !errors.Is(err, cos.ErrChanged) {
		t.Errorf("version with another length: %v", err)
	}
	s.breaks(func(w http.ResponseWriter, r *http.Request) bool { // the old ETag with the new length, as versitygw can answer
		w.Header().Set("Etag", r.Header.Get("If-Match"))
		w.Header().Set("Content-Range", fmt.Sprintf("bytes 0-9/%d", len(b)-1))
		w.WriteHeader(http.StatusPartialContent)
		w.Write(make([]byte, 10))
		return true
	})
	if _, err := r.ReadAt(make([]byte, 10), 0); !errors.Is(err, cos.ErrChanged) {
		t.Errorf("old ETag, another length: %v", err)
	}
	s.breaks(nil)
	up(b)
	s.breaks(func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method == "GET" {
			s.s3.ServeHTTP(&damaging{ResponseWriter: w}, r)
			return true
		}
		return false
	})
	m := &memory{}
	if _, err := c.Download(ctx, object("x"), &file{}, cos.DownloadOptions{State: m}); !errors.Is(err, cos.ErrChecksum) || m.b != nil {
		t.Errorf("damaged: %v", err)
	}
	// Answers with the wrong range.
	for name, answer := range map[string]func(w http.ResponseWriter){
		"other range": func(w http.ResponseWriter) {
			w.Header().Set("Content-Range", "bytes 1-5242881/27262976")
			w.WriteHeader(206)
		},
		"other size": func(w http.ResponseWriter) {
			w.Header().Set("Content-Range", "bytes 0-5242880/27262977")
			w.WriteHeader(206)
		},
		"all": func(w http.ResponseWriter) { w.Write(b) },
	} {
		s.breaks(func(w http.ResponseWriter, r *http.Request) bool {
			if r.Method == "GET" {
				answer(w)
				return true
			}
			return false
		})
		if _, err := c.Download(ctx, object("x"), &file{}, cos.DownloadOptions{}); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// damaging flips a bit in the first bytes.
type damaging struct {
	http.ResponseWriter
	done bool
}

func (d *damaging) Write(p []byte) (int, error) {
	if !d.done && len(p) > 0 {
		d.done = true
		p = bytes.Clone(p)
		p[0] ^= 1
	}
	return d.ResponseWriter.Write(p)
}

func TestReader(t *testing.T) {
	both(t, func(t *testing.T, s *service, c *cos.Client) {
		b := noise(9*mib+321, 25)
		if err := s.s3.Put(account, "images", "x", bytes.NewReader(b)); err != nil {
			t.Fatal(err)
		}
		r, err := c.Open(ctx, object("x"))
		if err != nil {
			t.Fatal(err)
		}
		var src image.Source = r
		if src.Size() != int64(len(b)) {
			t.Errorf("size %d", src.Size())
		}
		s.breaks(badly(5, answer500))
		var wg sync.WaitGroup
		for w := range 3 {
			wg.Go(func() {
				rng := rand.New(rand.NewPCG(uint64(w), 3))
				for range 100 {
					off := rng.IntN(len(b) + 10)
					p := make([]byte, rng.IntN(5000))
					if rng.IntN(10) == 0 {
						p = make([]byte, rng.IntN(3*mib))
					}
					n, err := src.ReadAt(p, int64(off))
					want := b[min(off, len(b)):min(off+len(p), len(b))]
					if !bytes.Equal(p[:n], want) || (n < len(p)) != (err == io.EOF) || err != nil && err != io.EOF {
						t.Errorf("%d bytes at %d: %d, %v", len(p), off, n, err)
					}
				}
			})
		}
		wg.Wait()
		s.breaks(nil)
		n := s.count("GET")
		for off := range int64(1000) { // small reads are served from the cache
			if _, err := r.ReadAt(make([]byte, 100), off*100); err != nil {
				t.Fatal(err)
			}
		}
		if more := s.count("GET") - n; more > 1 {
			t.Errorf("a thousand small reads made %d requests", more)
		}
		if err := iotest.TestReader(io.NewSectionReader(r, 9*mib, 321), b[9*mib:]); err != nil {
			t.Error(err)
		}
		if _, err := r.ReadAt(nil, -1); err == nil {
			t.Error("read at -1 succeeded")
		}
		r.Close()
		if _, err := r.ReadAt(make([]byte, 2*mib), 0); err == nil {
			t.Error("read after Close succeeded")
		}
		if _, err := c.Open(ctx, object("none")); !errors.Is(err, cos.ErrNotFound) {
			t.Errorf("no object: %v", err)
		}
	})
}

func TestCancel(t *testing.T) {
	s := newService(t)
	c := client(t, cos.Options{Endpoint: s.URL, HMAC: hmacKey()})
	b := noise(17*mib, 26)
	if err := s.s3.Put(account, "images", "x", bytes.NewReader(b)); err != nil {
		t.Fatal(err)
	}
	reason := errors.New("enough")
	stop, cancel := context.WithCancelCause(ctx)
	s.breaks(func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method == "GET" {
			cancel(reason)
			<-r.Context().Done() // hangs
		}
		return false
	})
	if _, err := c.Download(stop, object("x"), &file{}, cos.DownloadOptions{}); !errors.Is(err, reason) {
		t.Errorf("cancelled: %v", err)
	}
}

// TestStall checks that a service that sends nothing counts as broken.
func TestStall(t *testing.T) {
	s := newService(t)
	c := client(t, cos.Options{Endpoint: s.URL, HMAC: hmacKey(), Stall: 50_000_000, Attempts: 3})
	b := noise(1000, 27)
	if err := s.s3.Put(account, "images", "x", bytes.NewReader(b)); err != nil {
		t.Fatal(err)
	}
	var n atomic.Int64
	s.breaks(func(w http.ResponseWriter, r *http.Request) bool {
		if n.Add(1) == 1 {
			<-r.Context().Done()
			return true
		}
		return false
	})
	if i, err := c.Head(ctx, object("x")); err != nil || i.Size != 1000 {
		t.Errorf("%+v, %v", i, err)
	}
	s.breaks(func(w http.ResponseWriter, r *http.Request) bool { <-r.Context().Done(); return true })
	if _, err := c.Head(ctx, object("x")); err == nil || fmt.Sprint(err) != "HEAD "+s.URL+"/images/x: no progress for too long" {
		t.Errorf("never answers: %v", err)
	}
}
