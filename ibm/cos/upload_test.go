package cos_test

import (
	"bytes"
	"context"
	"crypto/md5"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"

	"github.com/luksimg/luksimg/ibm/cos"
)

var ctx = context.Background()

// etagOf returns the ETag of b uploaded in parts.
func etagOf(b []byte, part int) string {
	h := md5.New()
	n := 0
	for off := 0; off < len(b); off += part {
		sum := md5.Sum(b[off:min(off+part, len(b))])
		h.Write(sum[:])
		n++
	}
	return fmt.Sprintf("%x-%d", h.Sum(nil), n)
}

func TestUpload(t *testing.T) {
	both(t, func(t *testing.T, s *service, c *cos.Client) {
		for _, size := range []int{0, 1, 5 * mib, 5*mib + 1, 17*mib + 12345} {
			b := noise(size, 1)
			o := object(fmt.Sprintf("folder/an image+%%20 %d.vhd", size))
			var done atomic.Int64
			r, err := c.Upload(ctx, o, bytes.NewReader(b), int64(size), cos.UploadOptions{PartSize: 5 * mib, Progress: func(n int64) { done.Add(n) }})
			if err != nil {
				t.Fatal(err)
			}
			want := fmt.Sprintf("%x", md5.Sum(b))
			if size > 5*mib {
				want = etagOf(b, 5*mib)
			}
			if r.ETag != want || r.Size != int64(size) || done.Load() != int64(size) {
				t.Errorf("%d bytes: %+v with progress %d, want ETag %s", size, r, done.Load(), want)
			}
			if !bytes.Equal(s.stored(t, o.Key), b) {
				t.Errorf("%d bytes: the object differs from the source", size)
			}
			i, err := c.Head(ctx, o)
			if err != nil || i.Size != int64(size) || i.ETag != want || i.Modified.IsZero() {
				t.Errorf("%d bytes: Head returns %+v, %v", size, i, err)
			}
			if err := c.Delete(ctx, o); err != nil {
				t.Error(err)
			}
			if _, err := c.Head(ctx, o); !errors.Is(err, cos.ErrNotFound) {
				t.Errorf("after delete: %v", err)
			}
		}
		clean(t, c)
	})
}

// badly returns a fault that calls what for every nth request.
func badly(every int64, what func(w http.ResponseWriter, r *http.Request) bool) func(http.ResponseWriter, *http.Request) bool {
	var n atomic.Int64
	return func(w http.ResponseWriter, r *http.Request) bool {
		return n.Add(1)%every == 0 && what(w, r)
	}
}

func answer500(w http.ResponseWriter, r *http.Request) bool {
	io.Copy(io.Discard, r.Body)
	w.WriteHeader(500)
	io.WriteString(w, "<Error><Code>InternalError</Code><Message>try again</Message></Error>")
	return true
}

func drop(w http.ResponseWriter, r *http.Request) bool {
	io.CopyN(io.Discard, r.Body, 100_000)
	panic(http.ErrAbortHandler)
}

func (s *service) dropAnswer(w http.ResponseWriter, r *http.Request) bool {
	s.s3.ServeHTTP(discard{http.Header{}}, r)
	panic(http.ErrAbortHandler)
}

type discard struct{ h http.Header }

func (d discard) Header() http.Header         { return d.h }
func (d discard) Write(p []byte) (int, error) { return len(p), nil }
func (d discard) WriteHeader(int)             {}

// TestUploadFaults uploads while the service is faulty.
func TestUploadFaults(t *testing.T) {
	both(t, func(t *testing.T, s *service, c *cos.Client) {
		b := noise(16*mib+77, 2)
		for name, fault := range map[string]func(http.ResponseWriter, *http.Request) bool{
			"500":          badly(3, answer500),
			"dropped":      badly(3, drop),
			"answers lost": badly(3, s.dropAnswer),
			"expiry":       badly(5, s.expire),
			"busy": badly(3, func(w http.ResponseWriter, r *http.Request) bool {
				w.Header().Set("Retry-After", "1")
				w.WriteHeader(503)
				io.WriteString(w, "<Error><Code>SlowDown</Code></Error>")
				return true
			}),
		} {
			for range 2 { // faults hit different requests each time
				s.breaks(fault)
				var done atomic.Int64
				_, err := c.Upload(ctx, object(name), bytes.NewReader(b), int64(len(b)), cos.UploadOptions{PartSize: 5 * mib, Jobs: 3, Progress: func(n int64) { done.Add(n) }})
				s.breaks(nil)
				if err != nil {
					t.Fatalf("%s: %v", name, err)
				}
				if !bytes.Equal(s.stored(t, name), b) {
					t.Errorf("%s: the object differs from the source", name)
				}
				if done.Load() != int64(len(b)) {
					t.Errorf("%s: progress %d of %d", name, done.Load(), len(b))
				}
				clean(t, c)
				if err := c.Delete(ctx, object(name)); err != nil {
					t.Fatal(err)
				}
			}
		}
	})
}

// TestComplete checks the failures of the completing request.
func TestComplete(t *testing.T) {
	b := noise(11*mib, 3)
	isComplete := func(r *http.Request) bool { return r.Method == "POST" && r.URL.Query().Has("uploadId") }
	for name, c := range map[string]struct {
		times int
		fault func(s *service, w http.ResponseWriter, r *http.Request) bool
		want  error // nil for success
	}{
		"answer is lost": {1, func(s *service, w http.ResponseWriter, r *http.Request) bool { return s.dropAnswer(w, r) }, nil},
		"error with status 200": {1, func(s *service, w http.ResponseWriter, r *http.Request) bool {
			io.Copy(io.Discard, r.Body)
			io.WriteString(w, "<?xml version=\"1.0\"?>\n<Error><Code>InternalError</Code><Message>x</Message></Error>")
			return true
		}, nil},
		"answer is cut": {1, func(s *service, w http.ResponseWriter, r *http.Request) bool {
			s.s3.ServeHTTP(discard{http.Header{}}, r)
			io.WriteString(w, "<?xml version=\"1.0\"?>\n<CompleteMulti")
			return true
		}, nil},
		"gone": {1000, func(s *service, w http.ResponseWriter, r *http.Request) bool {
			q := r.Clone(ctx)
			q.Method = "DELETE"
			s.s3.ServeHTTP(discard{http.Header{}}, q)
			return false
		}, cos.ErrNotFound},
		"never": {1000, func(s *service, w http.ResponseWriter, r *http.Request) bool {
			io.WriteString(w, "<Error><Code>InternalError</Code><Message>x</Message></Error>")
			return true
		}, errAny},
	} {
		t.Run(name, func(t *testing.T) {
			s := newService(t)
			cl := client(t, cos.Options{Endpoint: s.URL, Tokens: &tokenSource{s: s}})
			left := c.times
			s.breaks(func(w http.ResponseWriter, r *http.Request) bool {
				if !isComplete(r) || left == 0 {
					return false
				}
				left--
				return c.fault(s, w, r)
			})
			_, err := cl.Upload(ctx, object("x"), bytes.NewReader(b), int64(len(b)), cos.UploadOptions{PartSize: 5 * mib})
			switch {
			case c.want == nil && err != nil, c.want != nil && err == nil, c.want != nil && c.want != errAny && !errors.Is(err, c.want):
				t.Errorf("%v, want %v", err, c.want)
			}
			if c.want == nil && !bytes.Equal(s.stored(t, "x"), b) {
				t.Error("the object differs from the source")
			}
			clean(t, cl)
		})
	}
}

var errAny = errors.New("any")

// TestSameAgain checks that a failed completion does not count as done when an identical object
// already existed, and that the upload is aborted.
func TestSameAgain(t *testing.T) {
	s := newService(t)
	c := client(t, cos.Options{Endpoint: s.URL, HMAC: hmacKey()})
	b := noise(11*mib, 4)
	for range 2 {
		if _, err := c.Upload(ctx, object("x"), bytes.NewReader(b), int64(len(b)), cos.UploadOptions{PartSize: 5 * mib}); err != nil {
			t.Fatal(err)
		}
		clean(t, c)
		s.breaks(func(w http.ResponseWriter, r *http.Request) bool {
			return r.Method == "POST" && r.URL.Query().Has("uploadId") && answer500(w, r)
		})
	}
}

// TestResume stops an upload in the middle and resumes it.
func TestResume(t *testing.T) {
	both(t, func(t *testing.T, s *service, c *cos.Client) {
		b := noise(41*mib, 5)
		state := cos.StateFile(filepath.Join(t.TempDir(), "state.json"))
		opts := cos.UploadOptions{PartSize: 5 * mib, Jobs: 1, State: state}
		stop, cancel := context.WithCancel(ctx)
		var n atomic.Int64
		s.breaks(func(w http.ResponseWriter, r *http.Request) bool {
			if r.URL.Query().Has("partNumber") && n.Add(1) == 5 {
				cancel()
			}
			return false
		})
		if _, err := c.Upload(stop, object("x"), bytes.NewReader(b), int64(len(b)), opts); !errors.Is(err, context.Canceled) {
			t.Fatalf("cancelled: %v", err)
		}
		s.breaks(nil)
		text, err := os.ReadFile(string(state))
		if err != nil {
			t.Fatal(err)
		}
		for _, secret := range []string{secretKey, accessKey, "bearer-secret"} {
			if bytes.Contains(text, []byte(secret)) {
				t.Errorf("the state contains %s: %s", secret, text)
			}
		}

		// Another source or another object must be refused.
		other := bytes.Clone(b)
		other[len(b)-1]++
		if _, err := c.Upload(ctx, object("x"), bytes.NewReader(other), int64(len(b)), opts); !errors.Is(err, cos.ErrChanged) {
			t.Errorf("another source: %v", err)
		}
		if _, err := c.Upload(ctx, object("y"), bytes.NewReader(b), int64(len(b)), opts); !errors.Is(err, cos.ErrChanged) {
			t.Errorf("another object: %v", err)
		}
		if _, err := c.Upload(ctx, object("x"), bytes.NewReader(b), 3*mib, opts); !errors.Is(err, cos.ErrChanged) {
			t.Errorf("a source of one part: %v", err)
		}

		// A change outside the samples is also detected.
		b[6*mib+4321]++
		var done atomic.Int64
		opts.Progress = func(n int64) { done.Add(n) }
		r, err := c.Upload(ctx, object("x"), bytes.NewReader(b), int64(len(b)), opts)
		if err != nil {
			t.Fatal(err)
		}
		if r.Found < 3 || r.Found > 4 || r.Parts != 9 || done.Load() != int64(len(b)) {
			t.Errorf("%+v, progress %d: want 3 or 4 parts found, of 9", r, done.Load())
		}
		if !bytes.Equal(s.stored(t, "x"), b) {
			t.Error("the object differs from the source")
		}
		clean(t, c)
		if _, err := os.Stat(string(state)); !os.IsNotExist(err) {
			t.Errorf("the state still exists: %v", err)
		}
	})
}

// memory is a StateStore that keeps all saved states, and can fail on request.
type memory struct {
	b     []byte
	saves [][]byte
	fail  func(saves int) error
}

func (m *memory) Load() ([]byte, error) { return m.b, nil }
func (m *memory) Save(b []byte) error {
	m.saves = append(m.saves, bytes.Clone(b))
	if m.fail != nil {
		if err := m.fail(len(m.saves)); err != nil {
			return err
		}
	}
	m.b = bytes.Clone(b)
	return nil
}
func (m *memory) Remove() error { m.b = nil; return nil }

// TestResumeEdges crashes at points where the state and the service disagree.
func TestResumeEdges(t *testing.T) {
	b := noise(16*mib, 6)
	up := func(c *cos.Client, m *memory) (cos.UploadResult, error) {
		return c.Upload(ctx, object("x"), bytes.NewReader(b), int64(len(b)), cos.UploadOptions{PartSize: 5 * mib, State: m})
	}
	t.Run("begun and not saved", func(t *testing.T) {
		s := newService(t)
		c := client(t, cos.Options{Endpoint: s.URL, HMAC: hmacKey()})
		// The upload of another client for the same object must be neither used nor aborted.
		foreign := &memory{fail: func(n int) error {
			if n == 2 {
				return errors.New("crash")
			}
			return nil
		}}
		if _, err := up(c, foreign); err == nil {
			t.Fatal("no error")
		}
		theirs, _ := c.Uploads(ctx, "us-south", "images", "")
		ours := &memory{fail: foreign.fail}
		if _, err := up(c, ours); err == nil {
			t.Fatal("no error")
		}
		ours.fail = nil
		if _, err := up(c, ours); err != nil {
			t.Fatal(err)
		}
		left, _ := c.Uploads(ctx, "us-south", "images", "")
		if len(theirs) != 1 || len(left) != 1 || left[0] != theirs[0] {
			t.Errorf("left %v, want %v", left, theirs)
		}
		if n := s.count("POST uploads"); n != 2 {
			t.Errorf("%d uploads started", n)
		}
		foreign.fail = nil
		if err := c.AbortUpload(ctx, foreign); err != nil {
			t.Error(err)
		}
		clean(t, c)
	})
	t.Run("completed and not removed", func(t *testing.T) {
		s := newService(t)
		c := client(t, cos.Options{Endpoint: s.URL, HMAC: hmacKey()})
		m := &memory{}
		if _, err := up(c, m); err != nil {
			t.Fatal(err)
		}
		m.b = m.saves[len(m.saves)-1]
		n := s.count("PUT uploadId partNumber")
		r, err := up(c, m)
		if err != nil || r.Found != 4 || m.b != nil {
			t.Errorf("%+v, %v", r, err)
		}
		if s.count("PUT uploadId partNumber") != n {
			t.Error("parts were sent again")
		}
	})
	t.Run("expired", func(t *testing.T) {
		s := newService(t)
		c := client(t, cos.Options{Endpoint: s.URL, HMAC: hmacKey()})
		m := &memory{}
		s.breaks(func(w http.ResponseWriter, r *http.Request) bool {
			if r.URL.Query().Get("partNumber") == "3" {
				w.WriteHeader(http.StatusForbidden)
				return true
			}
			return false
		})
		if _, err := up(c, m); !errors.Is(err, cos.ErrAccess) {
			t.Fatal(err)
		}
		s.breaks(nil)
		left, _ := c.Uploads(ctx, "us-south", "images", "")
		if len(left) != 1 {
			t.Fatalf("uploads: %v", left)
		}
		if err := c.Abort(ctx, object("x"), left[0].UploadID); err != nil {
			t.Fatal(err)
		}
		if r, err := up(c, m); err != nil || r.Found != 0 {
			t.Errorf("%+v, %v", r, err)
		}
		if !bytes.Equal(s.stored(t, "x"), b) {
			t.Error("the object differs from the source")
		}
		clean(t, c)
	})
	t.Run("abort", func(t *testing.T) {
		s := newService(t)
		c := client(t, cos.Options{Endpoint: s.URL, HMAC: hmacKey()})
		m := &memory{}
		s.breaks(func(w http.ResponseWriter, r *http.Request) bool {
			if r.URL.Query().Get("partNumber") == "3" {
				w.WriteHeader(http.StatusForbidden)
				return true
			}
			return false
		})
		up(c, m)
		s.breaks(nil)
		if err := c.AbortUpload(ctx, m); err != nil || m.b != nil {
			t.Error(err)
		}
		clean(t, c)
		if err := c.AbortUpload(ctx, m); err != nil {
			t.Errorf("nothing to abort: %v", err)
		}
	})
	t.Run("damaged state", func(t *testing.T) {
		s := newService(t)
		c := client(t, cos.Options{Endpoint: s.URL, HMAC: hmacKey()})
		for _, text := range []string{"{", "{}", `{"version":1,"size":1,"part_size":1}`, `{"version":9}`} {
			if _, err := up(c, &memory{b: []byte(text)}); err == nil {
				t.Errorf("state %s accepted", text)
			}
		}
	})
}

// TestUploadFails checks that failed uploads leave nothing behind.
func TestUploadFails(t *testing.T) {
	both(t, func(t *testing.T, s *service, c *cos.Client) {
		b := noise(16*mib, 7)
		broken := errors.New("disk is broken")
		_, err := c.Upload(ctx, object("x"), failing{bytes.NewReader(b), 12 * mib, broken}, int64(len(b)), cos.UploadOptions{PartSize: 5 * mib})
		if !errors.Is(err, broken) {
			t.Errorf("source fails: %v", err)
		}
		clean(t, c)
		_, err = c.Upload(ctx, object("x"), bytes.NewReader(b[:len(b)-1]), int64(len(b)), cos.UploadOptions{PartSize: 5 * mib})
		if !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("source is short: %v", err)
		}
		clean(t, c)
		_, err = c.Upload(ctx, object("x"), &changing{b: b}, int64(len(b)), cos.UploadOptions{PartSize: 5 * mib})
		if !errors.Is(err, cos.ErrChecksum) {
			t.Errorf("source changes: %v", err)
		}
		clean(t, c)
		_, err = c.Upload(ctx, cos.Object{Region: "us-south", Bucket: "nowhere", Key: "x"}, bytes.NewReader(b), int64(len(b)), cos.UploadOptions{PartSize: 5 * mib})
		if !errors.Is(err, cos.ErrNotFound) {
			t.Errorf("no bucket: %v", err)
		}
		_, err = c.Upload(ctx, cos.Object{Region: "us-geo", Bucket: "images", Key: "x"}, bytes.NewReader(b), int64(len(b)), cos.UploadOptions{})
		if !errors.Is(err, cos.ErrBucketRegion) {
			t.Errorf("cross-region: %v", err)
		}
		// Storage of other data than was sent must be detected.
		s.breaks(func(w http.ResponseWriter, r *http.Request) bool {
			if r.Method == "PUT" {
				io.Copy(io.Discard, r.Body)
				w.Header().Set("Etag", `"00112233445566778899aabbccddeeff"`)
				return true
			}
			return false
		})
		_, err = c.Upload(ctx, object("x"), bytes.NewReader(b), int64(len(b)), cos.UploadOptions{PartSize: 5 * mib})
		if !errors.Is(err, cos.ErrChecksum) {
			t.Errorf("another ETag: %v", err)
		}
		s.breaks(nil)
		clean(t, c)
		if _, err := c.Head(ctx, object("x")); !errors.Is(err, cos.ErrNotFound) {
			t.Errorf("the object exists: %v", err)
		}
	})
}

// TestFirstError checks that an error cancels the other parts, and that Upload returns it.
func TestFirstError(t *testing.T) {
	s := newService(t)
	c := client(t, cos.Options{Endpoint: s.URL, HMAC: hmacKey()})
	b := noise(16*mib, 8)
	hangs := make(chan bool, 1)
	s.breaks(func(w http.ResponseWriter, r *http.Request) bool {
		switch r.URL.Query().Get("partNumber") {
		case "1":
			io.Copy(io.Discard, r.Body)
			hangs <- true
			<-r.Context().Done()
			return true
		case "2":
			<-hangs
			return answer403(w, r)
		}
		return false
	})
	if _, err := c.Upload(ctx, object("x"), bytes.NewReader(b), int64(len(b)), cos.UploadOptions{PartSize: 5 * mib, Jobs: 2}); !errors.Is(err, cos.ErrAccess) {
		t.Errorf("upload: %v", err)
	}
	s.breaks(nil)
	clean(t, c)
}

type failing struct {
	r   io.ReaderAt
	at  int64
	err error
}

func (f failing) ReadAt(p []byte, off int64) (int, error) {
	if off+int64(len(p)) > f.at {
		return 0, f.err
	}
	return f.r.ReadAt(p, off)
}

// changing is a source that returns different bytes each time.
type changing struct {
	b []byte
	n atomic.Int64
}

func (c *changing) ReadAt(p []byte, off int64) (int, error) {
	n, err := bytes.NewReader(c.b).ReadAt(p, off)
	if n > 0 {
		p[0] = byte(c.n.Add(1))
	}
	return n, err
}

func TestPartLimits(t *testing.T) {
	s := newService(t)
	c := client(t, cos.Options{Endpoint: s.URL, HMAC: hmacKey()})
	for _, o := range []struct{ size, part int64 }{
		{100, 5*mib - 1}, {100, 5<<30 + 1}, {5*mib*10_000 + 1, 5 * mib}, {-1, 0}, {5<<30*10_000 + 1, 0},
	} {
		if _, err := c.Upload(ctx, object("x"), bytes.NewReader(nil), o.size, cos.UploadOptions{PartSize: o.part}); err == nil {
			t.Errorf("%d bytes in parts of %d accepted", o.size, o.part)
		}
	}
	if len(s.calls) > 0 {
		t.Errorf("requests sent: %v", s.calls)
	}
}
