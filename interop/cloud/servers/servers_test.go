package servers

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"io"
	"math/rand/v2"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"

	"github.com/luksimg/luksimg/ibm/cos"
	"github.com/luksimg/luksimg/internal/need"
	"github.com/luksimg/luksimg/internal/rest/resttest"
)

const (
	accessKey = "0123456789abcdef"
	secretKey = "fedcba9876543210fedcba9876543210"
	bucket    = "images"
	mib       = 1 << 20
)

var ctx = context.Background()

func object(key string) cos.Object { return cos.Object{Region: "us-south", Bucket: bucket, Key: key} }

func noise(n int, seed uint64) []byte {
	var s [32]byte
	binary.LittleEndian.PutUint64(s[:], seed)
	b := make([]byte, n)
	rand.NewChaCha8(s).Read(b)
	return b
}

// servers start one server each, and return its endpoint and a function that reads a stored object.
var servers = map[string]func(t *testing.T) (endpoint string, stored func(key string) ([]byte, error)){
	"versitygw": func(t *testing.T) (string, func(string) ([]byte, error)) {
		endpoint, dir := need.Gateway(t, accessKey, secretKey)
		if err := os.Mkdir(filepath.Join(dir, bucket), 0o700); err != nil {
			t.Fatal(err)
		}
		return endpoint, func(key string) ([]byte, error) { return os.ReadFile(filepath.Join(dir, bucket, key)) }
	},
	"gofakes3": func(t *testing.T) (string, func(string) ([]byte, error)) {
		store := s3mem.New()
		if err := store.CreateBucket(bucket); err != nil {
			t.Fatal(err)
		}
		srv := httptest.NewServer(gofakes3.New(store).Server())
		t.Cleanup(srv.Close)
		return srv.URL, func(key string) ([]byte, error) {
			o, err := store.GetObject(bucket, key, nil)
			if err != nil {
				return nil, err
			}
			defer o.Contents.Close()
			return io.ReadAll(o.Contents)
		}
	},
}

// networks are the networks in front of a server. Half of the connections have the fault, unless the network
// has none.
var networks = map[string]struct {
	all    bool
	keep   bool // reuse connections; each stuck one takes a second
	toxics []toxic
}{
	"sound": {keep: true},
	"slow": {true, true, []toxic{
		{"latency", "downstream", map[string]any{"latency": 5, "jitter": 5}},
		{"bandwidth", "upstream", map[string]any{"rate": 60_000}},
		{"slicer", "downstream", map[string]any{"average_size": 10_000, "size_variation": 9_000, "delay": 1}},
	}},
	"requests cut":      {false, false, []toxic{{"limit_data", "upstream", map[string]any{"bytes": 3 * mib}}}},
	"answers cut":       {false, false, []toxic{{"limit_data", "downstream", map[string]any{"bytes": 700}}}},
	"answers lost":      {false, false, []toxic{{"timeout", "downstream", map[string]any{"timeout": 100}}}},
	"reset":             {false, false, []toxic{{"reset_peer", "upstream", map[string]any{"timeout": 5}}}},
	"half open":         {false, true, []toxic{{"stuck", "upstream", map[string]any{"bytes": 3 * mib}}}},
	"half open answers": {false, true, []toxic{{"stuck", "downstream", map[string]any{"bytes": mib}}}},
}

// TestServers uploads in one request and in parts, resumes an upload, and downloads, through each network to each server.
// It compares the SHA-256 of the data.
func TestServers(t *testing.T) {
	for name, start := range servers {
		t.Run(name, func(t *testing.T) {
			endpoint, stored := start(t)
			for fault, l := range networks {
				t.Run(fault, func(t *testing.T) {
					n := newNetwork(t, endpoint, l.all, l.toxics...)
					// A stall is detected after a second; there are no pauses between attempts.
					o := cos.Options{Endpoint: endpoint, HMAC: &cos.HMAC{AccessKeyID: accessKey, SecretAccessKey: []byte(secretKey)}, Attempts: 40, Stall: time.Second, Clock: resttest.Still(time.Now()), Transport: n.transport(t, l.keep)}
					c, err := cos.New(o)
					if err != nil {
						t.Fatal(err)
					}
					j := &judge{t, c, stored}
					j.put()
					j.parts()
					j.resume()
					j.stream()
					if n.bad == 0 {
						t.Error("no connection had the fault")
					}
					j.clean()
				})
			}
		})
	}
}

type judge struct {
	*testing.T
	c      *cos.Client
	stored func(key string) ([]byte, error)
}

// holds compares the stored and the downloaded object with the sent data.
func (j *judge) holds(key string, b []byte) {
	j.Helper()
	want := sha256.Sum256(b)
	if got, err := j.stored(key); err != nil || sha256.Sum256(got) != want {
		j.Errorf("%s: the stored object differs: %d bytes of %d, %v", key, len(got), len(b), err)
	}
	name := filepath.Join(j.TempDir(), "x")
	r, err := j.c.DownloadFile(ctx, object(key), name, cos.FileOptions{Jobs: 2})
	if err != nil || !r.Verified {
		j.Errorf("%s: download: %+v, %v", key, r, err)
		return
	}
	if got, err := os.ReadFile(name); err != nil || sha256.Sum256(got) != want {
		j.Errorf("%s: the downloaded object differs: %v", key, err)
	}
}

func (j *judge) put() {
	b := noise(1000, 1)
	if _, err := j.c.Upload(ctx, object("put"), bytes.NewReader(b), int64(len(b)), cos.UploadOptions{}); err != nil {
		j.Errorf("put: %v", err)
		return
	}
	j.holds("put", b)
}

func (j *judge) parts() {
	b := noise(11*mib+5, 2)
	r, err := j.c.Upload(ctx, object("parts"), bytes.NewReader(b), int64(len(b)), cos.UploadOptions{PartSize: 5 * mib, Jobs: 2})
	if err != nil || r.Parts != 3 || !r.Verified {
		j.Errorf("parts: %+v, %v", r, err)
		return
	}
	j.holds("parts", b)
}

func (j *judge) resume() {
	b := noise(16*mib+7, 3)
	state := cos.StateFile(filepath.Join(j.TempDir(), "state.json"))
	stop, cancel := context.WithCancel(ctx)
	defer cancel()
	var mu sync.Mutex
	sent := int64(0)
	opts := cos.UploadOptions{PartSize: 5 * mib, Jobs: 1, State: state, Progress: func(n int64) {
		mu.Lock()
		defer mu.Unlock()
		if sent += n; sent > 12*mib {
			cancel()
		}
	}}
	if _, err := j.c.Upload(stop, object("resume"), bytes.NewReader(b), int64(len(b)), opts); !errors.Is(err, context.Canceled) {
		j.Errorf("resume: not stopped: %v", err)
		return
	}
	opts.Progress = nil
	r, err := j.c.Upload(ctx, object("resume"), bytes.NewReader(b), int64(len(b)), opts)
	// The third part may have been sent completely before the context was cancelled.
	if err != nil || r.Found < 2 || r.Found > 3 || r.Parts != 4 {
		j.Errorf("resume: %+v, %v", r, err)
		return
	}
	j.holds("resume", b)
}

func (j *judge) stream() {
	b := noise(6*mib, 4)
	if n, err := j.c.UploadStream(ctx, object("stream"), bytes.NewReader(b), cos.StreamOptions{PartSize: 5 * mib}); err != nil || n != int64(len(b)) {
		j.Errorf("stream: %d, %v", n, err)
		return
	}
	j.holds("stream", b)
}

// clean fails if unfinished uploads remain.
func (j *judge) clean() {
	left, err := j.c.Uploads(ctx, "us-south", bucket, "")
	if err != nil || len(left) > 0 {
		j.Errorf("unfinished uploads: %v, %v", left, err)
	}
}
