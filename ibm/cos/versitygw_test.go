package cos_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/luksimg/luksimg/ibm/cos"
	"github.com/luksimg/luksimg/internal/need"
)

// The following tests run against versitygw, an independent server. It checks
// signatures, hashes and the region, and stores each object as a plain file.

// gateway returns a client of a versitygw with the bucket "images".
func gateway(t testing.TB, transport http.RoundTripper) (c *cos.Client, endpoint, dir string) {
	t.Helper()
	endpoint, dir = need.Gateway(t, accessKey, secretKey)
	if err := os.Mkdir(filepath.Join(dir, "images"), 0o700); err != nil {
		t.Fatal(err)
	}
	return client(t, cos.Options{Endpoint: endpoint, HMAC: hmacKey(), Transport: transport}), endpoint, dir
}

func TestGateway(t *testing.T) {
	c, endpoint, dir := gateway(t, nil)
	for _, size := range []int{0, 1, 5*mib + 1, 17*mib + 12345} {
		b := noise(size, 50)
		key := fmt.Sprintf("folder/an image+%%20=~ %d.vhd", size)
		r, err := c.Upload(ctx, object(key), bytes.NewReader(b), int64(size), cos.UploadOptions{PartSize: 5 * mib})
		if err != nil {
			t.Fatal(err)
		}
		onDisk, err := os.ReadFile(filepath.Join(dir, "images", key))
		if err != nil || !bytes.Equal(onDisk, b) {
			t.Errorf("%d bytes: the file of the server differs: %v", size, err)
		}
		if size > 5*mib && r.ETag != etagOf(b, 5*mib) {
			t.Errorf("ETag %s", r.ETag)
		}
		var f file
		d, err := c.Download(ctx, object(key), &f, cos.DownloadOptions{})
		if err != nil || !d.Verified || !bytes.Equal(f.b, b) {
			t.Errorf("%d bytes: download: %+v, %v", size, d, err)
		}
		o, err := c.Open(ctx, object(key))
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(io.NewSectionReader(o, 0, o.Size()))
		if err != nil || !bytes.Equal(got, b) {
			t.Errorf("%d bytes: reader: %v", size, err)
		}
	}
	b := noise(12*mib, 51)
	if n, err := c.UploadStream(ctx, object("stream"), bytes.NewReader(b), cos.StreamOptions{PartSize: 5 * mib}); err != nil || n != 12*mib {
		t.Errorf("stream: %d, %v", n, err)
	}
	k, err := c.NewSink(ctx, object("sink"), int64(len(b)), cos.SinkOptions{PartSize: 5 * mib})
	if err != nil {
		t.Fatal(err)
	}
	for off := len(b) - mib; off >= 0; off -= mib {
		if _, err := k.WriteAt(b[off:off+mib], int64(off)); err != nil {
			t.Fatal(err)
		}
	}
	if err := k.Close(); err != nil {
		t.Error(err)
	}
	for _, key := range []string{"stream", "sink"} {
		if onDisk, err := os.ReadFile(filepath.Join(dir, "images", key)); err != nil || !bytes.Equal(onDisk, b) {
			t.Errorf("%s: %v", key, err)
		}
	}
	clean(t, c)
	if err := c.Delete(ctx, object("sink")); err != nil {
		t.Error(err)
	}
	if _, err := c.Head(ctx, object("sink")); !errors.Is(err, cos.ErrNotFound) {
		t.Errorf("after delete: %v", err)
	}
	if _, err := c.Bucket(ctx, "us-south", "images"); err != nil {
		t.Errorf("location: %v", err)
	}
	wrong := client(t, cos.Options{Endpoint: endpoint, HMAC: &cos.HMAC{AccessKeyID: accessKey, SecretAccessKey: []byte("wrong")}})
	if _, err := wrong.Bucket(ctx, "us-south", "images"); !errors.Is(err, cos.ErrAccess) {
		t.Errorf("wrong secret: %v", err)
	}
	if _, err := c.Bucket(ctx, "eu-de", "images"); !errors.Is(err, cos.ErrBucketRegion) {
		t.Errorf("wrong region: %v", err)
	}
}

func TestGatewayKill(t *testing.T) {
	c, endpoint, dir := gateway(t, nil)
	killAndResume(t, endpoint, false, c, noise(61*mib+99, 52), func() []byte {
		b, err := os.ReadFile(filepath.Join(dir, "images", "killed"))
		if err != nil {
			t.Fatal(err)
		}
		return b
	})
}

// TestGatewayFaults loses requests and answers in transit.
func TestGatewayFaults(t *testing.T) {
	f := &faulty{next: &http.Transport{ExpectContinueTimeout: time.Second}}
	c, _, dir := gateway(t, f)
	b := noise(26*mib+5, 53)
	for every := range 4 {
		f.every = every + 2
		if _, err := c.Upload(ctx, object("x"), bytes.NewReader(b), int64(len(b)), cos.UploadOptions{PartSize: 5 * mib, Jobs: 1}); err != nil {
			t.Fatalf("every %d: %v", f.every, err)
		}
		f.every = 0
		if onDisk, err := os.ReadFile(filepath.Join(dir, "images", "x")); err != nil || !bytes.Equal(onDisk, b) {
			t.Errorf("every %d: the file of the server differs: %v", every+2, err)
		}
		clean(t, c)
		if err := c.Delete(ctx, object("x")); err != nil {
			t.Error(err)
		}
	}
}

// faulty alternately loses every nth answer or request.
type faulty struct {
	next     http.RoundTripper
	every, n int
}

func (f *faulty) RoundTrip(r *http.Request) (*http.Response, error) {
	f.n++
	if f.every == 0 || f.n%f.every != 0 {
		return f.next.RoundTrip(r)
	}
	if f.n/f.every%2 == 0 {
		if r.Body != nil {
			r.Body.Close()
		}
		return nil, errors.New("request is lost")
	}
	resp, err := f.next.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	io.Copy(io.Discard, resp.Body)
	resp.Body.Close()
	return nil, errors.New("answer is lost")
}
