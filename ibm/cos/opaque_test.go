package cos_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"hash/crc64"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/luksimg/luksimg/ibm/cos"
)

// A veil wraps a service so that its ETags are not MD5 sums.
type veil struct {
	changing bool   // another ETag in each answer
	form     string // format of an ETag for 16 bytes
	careless bool   // does not check Content-MD5
	sums     bool   // returns checksums of the stored data
	label    string // its encryption header
	damage   bool   // stores damaged data
	private  bool   // denies reading objects

	s *service

	mu    *sync.Mutex
	names map[string]string // real ETag by shown ETag
	told  map[string]string // shown ETag by real ETag, unless they change
}

var quoted = regexp.MustCompile(`[0-9a-f]{32}(-[0-9]+)?`)

// hide returns the shown ETag for a real one.
func (v *veil) hide(real string) string {
	v.mu.Lock()
	defer v.mu.Unlock()
	if name, ok := v.told[real]; ok && !v.changing {
		return name
	}
	b := make([]byte, 16)
	rand.Read(b)
	name := fmt.Sprintf(v.form, b)
	if _, parts, ok := strings.Cut(real, "-"); ok {
		name += "-" + parts
	}
	v.names[name], v.told[real] = real, name
	return name
}

// real replaces the shown ETags in text by the real ones.
func (v *veil) real(text string) string {
	v.mu.Lock()
	defer v.mu.Unlock()
	for name, real := range v.names {
		text = strings.ReplaceAll(text, name, real)
	}
	return text
}

func (v *veil) ServeHTTP(w http.ResponseWriter, r *http.Request) bool {
	if v.private && r.Method == http.MethodGet && r.URL.RawQuery == "" {
		return answer403(w, r)
	}
	b, _ := io.ReadAll(r.Body)
	q := r.Clone(r.Context())
	if r.Method == http.MethodPost {
		b = []byte(v.real(string(b)))
		q.Header.Del("Content-MD5")
	}
	if m := q.Header.Get("If-Match"); m != "" {
		q.Header.Set("If-Match", v.real(m))
	}
	if v.careless {
		q.Header.Del("Content-MD5")
	}
	if v.damage && r.Method == http.MethodPut && len(b) > 10 {
		b[10] ^= 1
	}
	q.Header.Del("X-Amz-Content-Sha256")
	q.Body, q.ContentLength = io.NopCloser(bytes.NewReader(b)), int64(len(b))
	answer := httptest.NewRecorder()
	v.s.s3.ServeHTTP(answer, q)
	body := answer.Body.Bytes()
	for k, values := range answer.Header() {
		if !strings.HasPrefix(k, "X-Amz-Checksum-") {
			w.Header()[k] = values
		}
	}
	if e := answer.Header().Get("Etag"); e != "" {
		w.Header().Set("Etag", `"`+v.hide(strings.Trim(e, `"`))+`"`)
	}
	if strings.Contains(answer.Header().Get("Content-Type"), "xml") {
		body = []byte(regexp.MustCompile(`<ETag>[^<]*</ETag>`).ReplaceAllStringFunc(string(body), func(e string) string {
			return quoted.ReplaceAllStringFunc(e, v.hide)
		}))
		w.Header().Del("Content-Length")
	}
	if v.label != "" {
		name, value, _ := strings.Cut(v.label, ": ")
		w.Header().Set(name, value)
	}
	if v.sums && answer.Code == http.StatusOK {
		if r.Method == http.MethodHead {
			if o, err := v.s.s3.Open(account, "images", "x"); err == nil {
				b, _ = io.ReadAll(io.NewSectionReader(o, 0, o.Size()))
				o.Close()
			}
		}
		if r.Method == http.MethodHead || r.Method == http.MethodPut {
			h := crc64.New(crc64.MakeTable(0x9a6c9329ac4bc9b5))
			h.Write(b)
			w.Header().Set("X-Amz-Checksum-Crc64nvme", base64.StdEncoding.EncodeToString(h.Sum(nil)))
			w.Header().Set("X-Amz-Checksum-Type", "FULL_OBJECT")
		}
	}
	w.WriteHeader(answer.Code)
	w.Write(body)
	return true
}

// veiled returns a service behind a veil, and a client of it.
func veiled(t *testing.T, v *veil) (*service, *cos.Client) {
	t.Helper()
	s := newService(t)
	v.s, v.mu, v.names, v.told = s, new(sync.Mutex), map[string]string{}, map[string]string{}
	s.breaks(v.ServeHTTP)
	return s, client(t, cos.Options{Endpoint: s.URL, Tokens: &tokenSource{s: s}})
}

// ways are the ways to create an object.
var ways = map[string]func(c *cos.Client, b []byte) (verified bool, err error){
	"one request": func(c *cos.Client, b []byte) (bool, error) {
		r, err := c.Upload(ctx, object("x"), bytes.NewReader(b), int64(len(b)), cos.UploadOptions{})
		return r.Verified, err
	},
	"parts": func(c *cos.Client, b []byte) (bool, error) {
		r, err := c.Upload(ctx, object("x"), bytes.NewReader(b), int64(len(b)), cos.UploadOptions{PartSize: 5 * mib})
		return r.Verified, err
	},
	"parts, resumable": func(c *cos.Client, b []byte) (bool, error) {
		r, err := c.Upload(ctx, object("x"), bytes.NewReader(b), int64(len(b)), cos.UploadOptions{PartSize: 5 * mib, State: &memory{}})
		return r.Verified, err
	},
	"a stream": func(c *cos.Client, b []byte) (bool, error) {
		_, err := c.UploadStream(ctx, object("x"), bytes.NewReader(b), cos.StreamOptions{PartSize: 5 * mib})
		return true, err
	},
	"a short stream": func(c *cos.Client, b []byte) (bool, error) {
		_, err := c.UploadStream(ctx, object("x"), bytes.NewReader(b), cos.StreamOptions{PartSize: 12 * mib})
		return true, err
	},
	"a sink": func(c *cos.Client, b []byte) (bool, error) {
		k, err := c.NewSink(ctx, object("x"), int64(len(b)), cos.SinkOptions{PartSize: 5 * mib})
		if err != nil {
			return false, err
		}
		if _, err := k.WriteAt(b, 0); err != nil {
			return false, err
		}
		return true, k.Close()
	},
}

const (
	asMD5 = "%x"
	asWas = "0x8D%X"
)

// TestOpaque uploads to services whose ETags are not MD5 sums. Good uploads must succeed, and damage
// must be detected.
func TestOpaque(t *testing.T) {
	b := noise(6*mib, 70)
	for name, v := range map[string]veil{
		"checks":             {form: asMD5},
		"checks, otherwise":  {form: asWas},
		"checks, and change": {form: asMD5, changing: true},
		"checks, private":    {form: asWas, private: true},
		"returns sums":       {form: asMD5, careless: true, sums: true, private: true},
		"neither":            {form: asMD5, careless: true},
		"neither, otherwise": {form: asWas, careless: true},
		"neither, change":    {form: asMD5, careless: true, changing: true},
	} {
		for _, damage := range []bool{false, true} {
			for way, send := range ways {
				v := v
				v.damage = damage
				s, c := veiled(t, &v)
				verified, err := send(c, b)
				what := fmt.Sprintf("%s, %s, damaged %v", name, way, damage)
				gets := s.count("GET")
				// Without checksums, a short object is always read back.
				blind := v.private && !v.sums && (way == "one request" || way == "a short stream")
				switch {
				case damage && !errors.Is(err, cos.ErrChecksum):
					t.Errorf("%s: %v", what, err)
				case !damage && (err != nil || !bytes.Equal(s.stored(t, "x"), b)):
					t.Errorf("%s: %v", what, err)
				case !damage && verified != (!blind || strings.Contains(way, "stream")):
					t.Errorf("%s: verified %v", what, verified)
				case !damage && strings.Contains(way, "parts") && !v.careless && !v.changing && gets > 0:
					t.Errorf("%s: data that the service had checked was read again", what)
				}
				s.breaks(nil)
				if !damage || way != "parts, resumable" { // which keeps its parts in order to resume
					clean(t, c)
				}
			}
		}
	}
}

// TestOpaqueDamagedWriteOnly uses a service whose ETags look like MD5 sums but do not match. A client without
// read access must not accept them.
func TestOpaqueDamagedWriteOnly(t *testing.T) {
	b := noise(6*mib, 71)
	for _, way := range []string{"one request", "parts"} {
		_, c := veiled(t, &veil{form: asMD5, careless: true, private: true})
		if _, err := ways[way](c, b); !errors.Is(err, cos.ErrChecksum) {
			t.Errorf("%s: %v", way, err)
		}
		_, c = veiled(t, &veil{form: asWas, careless: true, private: true})
		if verified, err := ways[way](c, b); err != nil || verified {
			t.Errorf("%s: verified %v, %v", way, verified, err)
		}
	}
}

// TestOpaqueResume stops an upload and resumes it. Sent parts are recognized by their ETag
// and our MD5 sum, if the ETag does not change.
func TestOpaqueResume(t *testing.T) {
	for _, v := range []*veil{{form: asMD5}, {form: asWas}, {form: asMD5, changing: true}, {form: asMD5, careless: true}} {
		s, c := veiled(t, v)
		b := noise(31*mib, 72)
		state := cos.StateFile(filepath.Join(t.TempDir(), "state.json"))
		opts := cos.UploadOptions{PartSize: 5 * mib, Jobs: 1, State: state}
		stop, cancel := context.WithCancel(ctx)
		s.breaks(func(w http.ResponseWriter, r *http.Request) bool {
			if r.URL.Query().Get("partNumber") == "6" {
				cancel()
			}
			return v.ServeHTTP(w, r)
		})
		if _, err := c.Upload(stop, object("x"), bytes.NewReader(b), int64(len(b)), opts); !errors.Is(err, context.Canceled) {
			t.Fatalf("cancelled: %v", err)
		}
		s.breaks(v.ServeHTTP)
		b[6*mib+500_000]++ // not covered by any sample
		r, err := c.Upload(ctx, object("x"), bytes.NewReader(b), int64(len(b)), opts)
		want := 4 // one of the 5 sent parts has changed
		if v.changing || v.careless {
			want = 0
		}
		if err != nil || r.Found != want || !r.Verified || !bytes.Equal(s.stored(t, "x"), b) {
			t.Errorf("%s, changing %v, careless %v: %+v, %v", v.form, v.changing, v.careless, r, err)
		}
		s.breaks(nil)
		clean(t, c)
	}
}

// TestOpaqueEnd loses the answer to the completing request, once after it took effect and once before. In the
// second case an older object of the same length exists.
func TestOpaqueEnd(t *testing.T) {
	for _, done := range []bool{true, false} {
		for _, state := range []bool{true, false} {
			v := &veil{form: asMD5}
			s, c := veiled(t, v)
			old, b := noise(6*mib, 73), noise(6*mib, 74)
			if err := s.s3.Put(account, "images", "x", bytes.NewReader(old)); err != nil {
				t.Fatal(err)
			}
			lost := 0
			s.breaks(func(w http.ResponseWriter, r *http.Request) bool {
				if !isPOST(r, "uploadId") || lost == 2 {
					return v.ServeHTTP(w, r)
				}
				lost++
				if done {
					v.ServeHTTP(discard{http.Header{}}, r)
				}
				return answer500(w, r)
			})
			opts := cos.UploadOptions{PartSize: 5 * mib}
			m := &memory{}
			if state {
				opts.State = m
			}
			if _, err := c.Upload(ctx, object("x"), bytes.NewReader(b), int64(len(b)), opts); err != nil {
				t.Fatalf("done %v: %v", done, err)
			}
			if !bytes.Equal(s.stored(t, "x"), b) {
				t.Errorf("done %v: the object differs from the source", done)
			}
			if state { // simulate a crash before the state is removed
				m.b = m.saves[len(m.saves)-1]
				n := s.count("PUT uploadId partNumber")
				if r, err := c.Upload(ctx, object("x"), bytes.NewReader(b), int64(len(b)), opts); err != nil || r.Found != 2 || m.b != nil {
					t.Errorf("again: %+v, %v", r, err)
				}
				if s.count("PUT uploadId partNumber") != n {
					t.Error("parts were sent again")
				}
			}
			s.breaks(nil)
			clean(t, c)
		}
	}
}

// TestOpaqueDownload downloads objects whose ETags are not MD5 sums.
func TestOpaqueDownload(t *testing.T) {
	b := noise(6*mib, 75)
	for name, l := range map[string]struct {
		v        veil
		way      string
		verified bool
	}{
		"our own sum":          {veil{form: asMD5}, "one request", true},
		"our own sum, label":   {veil{form: asMD5, label: "X-Amz-Server-Side-Encryption: aws:kms"}, "one request", true},
		"a checksum":           {veil{form: asMD5, sums: true}, "parts", true},
		"a checksum, no sum":   {veil{form: asWas, sums: true}, "parts", true},
		"a label":              {veil{form: asMD5, label: "X-Amz-Server-Side-Encryption: aws:kms"}, "parts", false},
		"a label of IBM":       {veil{form: asMD5, label: "Ibm-Sse-Kp-Enabled: True"}, "parts", false},
		"a mark":               {veil{form: asMD5}, "parts", false},
		"a mark, resumable":    {veil{form: asMD5}, "parts, resumable", false},
		"no sum":               {veil{form: asWas}, "parts", false},
		"no sum, own":          {veil{form: asWas}, "one request", true},
		"no sum, written once": {veil{form: asWas}, "a short stream", true},
	} {
		s, c := veiled(t, &l.v)
		if _, err := ways[l.way](c, b); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		var f file
		if r, err := c.Download(ctx, object("x"), &f, cos.DownloadOptions{}); err != nil || r.Verified != l.verified || !bytes.Equal(f.b, b) {
			t.Errorf("%s: %+v, %v", name, r, err)
		}
		// Damage is reported where it is detectable.
		s.breaks(func(w http.ResponseWriter, r *http.Request) bool {
			if r.Method == http.MethodGet {
				return l.v.ServeHTTP(&damaging{ResponseWriter: w}, r)
			}
			return l.v.ServeHTTP(w, r)
		})
		if _, err := c.Download(ctx, object("x"), &file{}, cos.DownloadOptions{}); errors.Is(err, cos.ErrChecksum) != l.verified {
			t.Errorf("%s, damaged: %v", name, err)
		}
	}
}
