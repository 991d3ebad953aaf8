package cos_test

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"

	"github.com/luksimg/luksimg/ibm/cos"
	"github.com/luksimg/luksimg/internal/need"
)

// A watcher notes which sums the requests of a client carry.
type watcher struct {
	mu         sync.Mutex
	md5, plain []string // bodies with an MD5 sum, and without a sum
	sha256     int
}

func (w *watcher) RoundTrip(r *http.Request) (*http.Response, error) {
	w.mu.Lock()
	what := r.Method + " " + r.URL.String()
	switch {
	case r.Header.Get("Content-Md5") != "":
		w.md5 = append(w.md5, what)
	case r.Header.Get("X-Amz-Checksum-Sha256") != "":
		w.sha256++
	case r.ContentLength > 0:
		w.plain = append(w.plain, what)
	}
	w.mu.Unlock()
	return http.DefaultTransport.RoundTrip(r)
}

// TestSHA256 uploads and downloads without any MD5, with the sandbox and with versitygw.
func TestSHA256(t *testing.T) {
	for name, open := range map[string]func(w *watcher) *cos.Client{
		"sandbox": func(w *watcher) *cos.Client {
			s := newService(t)
			return client(t, cos.Options{Endpoint: s.URL, Tokens: &tokenSource{s: s}, Transport: w, SHA256: true})
		},
		"sandbox, HMAC": func(w *watcher) *cos.Client {
			return client(t, cos.Options{Endpoint: newService(t).URL, HMAC: hmacKey(), Transport: w, SHA256: true})
		},
		"versitygw": func(w *watcher) *cos.Client {
			_, endpoint, _ := gateway(t, nil)
			return client(t, cos.Options{Endpoint: endpoint, HMAC: hmacKey(), Transport: w, SHA256: true})
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := &watcher{}
			c := open(w)
			b := noise(11*mib, 90)
			for way, send := range ways {
				if verified, err := send(c, b); err != nil || !verified {
					t.Fatalf("%s: verified %v, %v", way, verified, err)
				}
				var f file
				d, err := c.Download(ctx, object("x"), &f, cos.DownloadOptions{})
				if err != nil || !d.Verified || !bytes.Equal(f.b, b) {
					t.Errorf("%s: download: verified %v, %v", way, d.Verified, err)
				}
			}
			if len(w.md5) > 0 || w.sha256 < 10 {
				t.Errorf("%d bodies with SHA-256; with MD5: %s", w.sha256, w.md5)
			}
			for _, what := range w.plain {
				if !strings.HasPrefix(what, "POST ") || !strings.Contains(what, "uploadId=") { // the list of the parts
					t.Errorf("%s has no checksum", what)
				}
			}
			clean(t, c)
		})
	}
}

// TestSHA256Opaque has services that ignore the checksums that come with a body, or damage it.
func TestSHA256Opaque(t *testing.T) {
	b := noise(6*mib, 91)
	for name, v := range map[string]veil{
		"ignores":           {form: asMD5, careless: true},
		"ignores, other":    {form: asWas, careless: true},
		"ignores, private":  {form: asMD5, careless: true, private: true},
		"compares":          {form: asMD5},
		"compares, private": {form: asWas, private: true},
	} {
		for _, damage := range []bool{false, true} {
			for way, send := range ways {
				v := v
				v.damage, v.sha256 = damage, true
				s, c := veiled(t, &v)
				verified, err := send(c, b)
				what := fmt.Sprintf("%s, %s, damaged %v", name, way, damage)
				blind := v.private && (v.careless || way == "one request" || way == "a short stream")
				stream := strings.Contains(way, "stream") || way == "a sink"
				switch {
				case damage && !blind && !errors.Is(err, cos.ErrChecksum):
					t.Errorf("%s: %v", what, err)
				case damage && (blind && v.careless && !stream && (err != nil || verified)):
					t.Errorf("%s: verified %v, %v", what, verified, err)
				case !damage && (err != nil || !bytes.Equal(s.stored(t, "x"), b)):
					t.Errorf("%s: %v", what, err)
				case !damage && verified != (!blind || stream):
					t.Errorf("%s: verified %v", what, verified)
				}
			}
		}
	}
}

// TestSHA256Resume stops an upload and goes on: what was sent is not sent again. A state of the other
// hash is refused.
func TestSHA256Resume(t *testing.T) {
	b := noise(22*mib, 92)
	s := newService(t)
	with := func(sha bool) *cos.Client {
		return client(t, cos.Options{Endpoint: s.URL, Tokens: &tokenSource{s: s}, SHA256: sha, Attempts: 1})
	}
	state := &memory{}
	up := func(c *cos.Client) (cos.UploadResult, error) {
		return c.Upload(ctx, object("x"), bytes.NewReader(b), int64(len(b)), cos.UploadOptions{PartSize: 5 * mib, Jobs: 1, State: state})
	}
	s.breaks(func(w http.ResponseWriter, r *http.Request) bool {
		return r.URL.Query().Get("partNumber") == "3" && answer500(w, r)
	})
	if _, err := up(with(true)); err == nil {
		t.Fatal("part 3 was taken")
	}
	s.breaks(nil)
	if _, err := up(with(false)); !errors.Is(err, cos.ErrChanged) || !strings.Contains(err.Error(), "FIPS") {
		t.Errorf("with MD5: %v", err)
	}
	if r, err := up(with(true)); err != nil || r.Found != 2 || !r.Verified || !bytes.Equal(s.stored(t, "x"), b) {
		t.Errorf("%+v, %v", r, err)
	}
	down := func(sha bool, f *file) (cos.DownloadResult, error) {
		return with(sha).Download(ctx, object("x"), f, cos.DownloadOptions{Jobs: 1, State: state})
	}
	for _, first := range []bool{true, false} {
		var f file
		n := 0
		s.breaks(func(w http.ResponseWriter, r *http.Request) bool {
			if r.Method == http.MethodGet {
				n++
			}
			return n > 2 && r.Method == http.MethodGet && answer500(w, r)
		})
		if _, err := down(first, &f); err == nil {
			t.Fatal("the third range was given")
		}
		s.breaks(nil)
		// The sums of the other hash are of no use, and do no harm.
		if r, err := down(!first, &f); err != nil || r.Found != 0 || !r.Verified || !bytes.Equal(f.b, b) {
			t.Errorf("%v: %+v, %v", first, r, err)
		}
	}
}

// TestSHA256Kept downloads what was damaged in the service: the checksum of the object tells.
func TestSHA256Kept(t *testing.T) {
	for _, part := range []int64{0, 5 * mib} {
		b := noise(6*mib, 93)
		s := newService(t)
		c := client(t, cos.Options{Endpoint: s.URL, Tokens: &tokenSource{s: s}, SHA256: true})
		if _, err := c.Upload(ctx, object("x"), bytes.NewReader(b), int64(len(b)), cos.UploadOptions{PartSize: part}); err != nil {
			t.Fatal(err)
		}
		s.breaks(func(w http.ResponseWriter, r *http.Request) bool {
			if r.Method != http.MethodGet {
				return false
			}
			s.s3.ServeHTTP(&damaging{ResponseWriter: w}, r)
			return true
		})
		var f file
		if _, err := c.Download(ctx, object("x"), &f, cos.DownloadOptions{}); !errors.Is(err, cos.ErrChecksum) {
			t.Errorf("parts of %d: %v", part, err)
		}
	}
}

// TestSHA256Strict is TestSHA256 with versitygw in strict FIPS 140-3 mode, where MD5 panics.
func TestSHA256Strict(t *testing.T) {
	need.Gateway(t, accessKey, secretKey) // told here if it is missing
	c := exec.Command(os.Args[0], "-test.run=^TestSHA256$/^versitygw$", "-test.v")
	c.Env = append(os.Environ(), "GODEBUG=fips140=only")
	if out, err := c.CombinedOutput(); err != nil || !bytes.Contains(out, []byte("--- PASS: TestSHA256/versitygw")) {
		t.Errorf("%v: %s", err, out)
	}
}
