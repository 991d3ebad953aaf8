package cos_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/luksimg/luksimg/ibm/cos"
	"github.com/luksimg/luksimg/ibm/sandbox/s3"
	"github.com/luksimg/luksimg/internal/rest"
	"github.com/luksimg/luksimg/internal/rest/resttest"
)

const (
	account   = "acct-1"
	accessKey = "0123456789abcdef"
	secretKey = "hmac-secret-fedcba9876543210"
	mib       = 1 << 20
)

// A service is the sandbox with injected faults.
type service struct {
	*httptest.Server
	s3 *s3.Server

	mu     sync.Mutex
	fault  func(w http.ResponseWriter, r *http.Request) bool // returns true if it has answered
	tokens map[string]bool                                   // valid ones
	calls  []string                                          // "PUT partNumber" and so on
}

func newService(t testing.TB) *service {
	t.Helper()
	s := &service{tokens: map[string]bool{}}
	var err error
	s.s3, err = s3.New(s3.Options{
		Dir: t.TempDir(),
		Token: func(_ context.Context, bearer string) (string, bool) {
			s.mu.Lock()
			defer s.mu.Unlock()
			valid, seen := s.tokens[bearer]
			if !seen && strings.HasPrefix(bearer, "helper-") { // token of another process
				valid = true
				s.tokens[bearer] = true
			}
			return account, valid
		},
		HMAC: func(key string) ([]byte, string, bool) { return []byte(secretKey), account, key == accessKey },
	})
	if err != nil {
		t.Fatal(err)
	}
	s.Server = httptest.NewServer(s)
	t.Cleanup(func() { s.Server.Close(); s.s3.Close() })
	if err := s.s3.CreateBucket(account, "images", "us-south-standard"); err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	what := r.Method
	for _, q := range []string{"uploads", "uploadId", "partNumber", "location"} {
		if r.URL.Query().Has(q) {
			what += " " + q
		}
	}
	s.calls = append(s.calls, what)
	fault := s.fault
	s.mu.Unlock()
	if fault == nil || !fault(w, r) {
		s.s3.ServeHTTP(w, r)
	}
}

// breaks sets the injected fault.
func (s *service) breaks(fault func(w http.ResponseWriter, r *http.Request) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fault = fault
}

// count returns the number of calls of a kind.
func (s *service) count(what string) (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.calls {
		if c == what {
			n++
		}
	}
	return n
}

// A tokenSource returns tokens of a service, and a new one after each refusal.
type tokenSource struct {
	s       *service
	mu      sync.Mutex
	n       int
	current string
}

func (ts *tokenSource) Token(context.Context) (rest.Token, error) {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	if ts.current == "" {
		ts.n++
		ts.current = fmt.Sprintf("bearer-secret-%d", ts.n)
		ts.s.mu.Lock()
		ts.s.tokens[ts.current] = true
		ts.s.mu.Unlock()
	}
	return rest.NewToken(ts.current, time.Time{}), nil
}

func (ts *tokenSource) Drop(token rest.Token) {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	if token.Header() == "Bearer "+ts.current {
		ts.current = ""
	}
}

// expire is a fault that makes the service refuse all issued tokens.
func (s *service) expire(http.ResponseWriter, *http.Request) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for token := range s.tokens {
		s.tokens[token] = false
	}
	return false
}

func client(t testing.TB, o cos.Options) *cos.Client {
	t.Helper()
	if o.Clock == nil {
		o.Clock = resttest.Still(time.Now())
	}
	c, err := cos.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// both runs a test with a client for each kind of credentials.
func both(t *testing.T, test func(t *testing.T, s *service, c *cos.Client)) {
	t.Run("bearer", func(t *testing.T) {
		s := newService(t)
		test(t, s, client(t, cos.Options{Endpoint: s.URL, Tokens: &tokenSource{s: s}, ServiceInstanceID: "e8a8c6f0-3f4b-4d53-8a3c-0a2b6f2f6f11"}))
	})
	t.Run("hmac", func(t *testing.T) {
		s := newService(t)
		test(t, s, client(t, cos.Options{Endpoint: s.URL, HMAC: hmacKey()}))
	})
}

func hmacKey() *cos.HMAC {
	return &cos.HMAC{AccessKeyID: accessKey, SecretAccessKey: []byte(secretKey)}
}

func object(key string) cos.Object { return cos.Object{Region: "us-south", Bucket: "images", Key: key} }

// noise returns pseudo-random bytes.
func noise(n int, seed uint64) []byte {
	var s [32]byte
	binary.LittleEndian.PutUint64(s[:], seed)
	b := make([]byte, n)
	rand.NewChaCha8(s).Read(b)
	return b
}

// stored returns the content of an object in the sandbox.
func (s *service) stored(t testing.TB, key string) []byte {
	t.Helper()
	o, err := s.s3.Open(account, "images", key)
	if err != nil {
		t.Fatal(err)
	}
	defer o.Close()
	b, err := io.ReadAll(io.NewSectionReader(o, 0, o.Size()))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// clean fails the test if unfinished uploads exist.
func clean(t testing.TB, c *cos.Client) {
	t.Helper()
	u, err := c.Uploads(context.Background(), "us-south", "images", "")
	if err != nil {
		t.Fatal(err)
	}
	if len(u) > 0 {
		t.Errorf("unfinished upload: %v", u)
	}
}

// writerAt is a growing buffer.
type writerAt struct {
	mu sync.Mutex
	b  []byte
}

func (w *writerAt) WriteAt(p []byte, off int64) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if n := int(off) + len(p); n > len(w.b) {
		w.b = slices.Grow(w.b, n-len(w.b))[:n]
	}
	return copy(w.b[off:], p), nil
}

// file is a readable writerAt.
type file struct{ writerAt }

func (f *file) ReadAt(p []byte, off int64) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return bytes.NewReader(f.b).ReadAt(p, off)
}
