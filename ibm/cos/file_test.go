package cos_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"github.com/luksimg/luksimg/ibm/cos"
	"github.com/luksimg/luksimg/internal/rest"
)

// TestInterrupted checks which failures of a transfer are resumable, with and without a
// saved state.
func TestInterrupted(t *testing.T) {
	state := cos.StateFile(filepath.Join(t.TempDir(), "state"))
	errs := []error{
		errors.New("the connection broke"),
		fmt.Errorf("upload: %w", context.Canceled),
		&cos.Error{Status: 503},
		&cos.Error{Status: 403},
		fmt.Errorf("token: %w", &rest.Error{Status: 400, Err: rest.NewRefusal("no", nil)}),
		fmt.Errorf("upload: %w", cos.ErrChanged),
		fmt.Errorf("download: %w", cos.ErrChecksum),
	}
	look := func(want func(err error) bool) {
		t.Helper()
		for _, err := range errs {
			got := cos.Interrupted(err, state, "--abort gives it up")
			if goesOn := errors.As(got, new(*cos.InterruptedError)); goesOn != want(err) || !errors.Is(got, err) {
				t.Errorf("%v became %v, resumable: %v", err, got, goesOn)
			}
		}
	}
	look(func(error) bool { return false }) // without a state
	if err := cos.Interrupted(errs[0], nil, ""); err != errs[0] {
		t.Error(err)
	}
	if err := state.Save([]byte("{}")); err != nil {
		t.Fatal(err)
	}
	look(func(err error) bool {
		return !rest.Refused(err) && !errors.Is(err, cos.ErrChanged) && !errors.Is(err, cos.ErrChecksum)
	})
	if h := rest.Hint(cos.Interrupted(errs[0], state, "this gives it up")); h != "run the same command again to resume; this gives it up" {
		t.Error(h)
	}
}

func TestDownloadFile(t *testing.T) {
	s := newService(t)
	c := client(t, cos.Options{Endpoint: s.URL, HMAC: hmacKey()})
	b := noise(17*mib, 30)
	if _, err := c.Upload(ctx, object("x"), bytes.NewReader(b), int64(len(b)), cos.UploadOptions{PartSize: 5 * mib}); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	name := filepath.Join(dir, "x")
	there := func(want int) {
		t.Helper()
		files, err := os.ReadDir(dir)
		if err != nil || len(files) != want {
			t.Errorf("%d files, want %d: %v", len(files), want, err)
		}
	}
	after := func(n int) func(http.ResponseWriter, *http.Request) bool { // refuses all but the first n ranges
		return func(w http.ResponseWriter, r *http.Request) bool {
			if r.Method != http.MethodGet {
				return false
			}
			if n--; n >= 0 {
				return false
			}
			w.WriteHeader(http.StatusNotImplemented)
			return true
		}
	}
	interrupted := func(o cos.FileOptions) bool {
		t.Helper()
		s.breaks(after(1))
		defer s.breaks(nil)
		_, err := c.DownloadFile(ctx, object("x"), name, o)
		if err == nil {
			t.Fatal("download succeeded")
		}
		return errors.As(err, new(*cos.InterruptedError))
	}
	if interrupted(cos.FileOptions{Jobs: 1}) {
		t.Error("resumable although nothing was kept")
	}
	there(0)
	if !interrupted(cos.FileOptions{Jobs: 1, Resume: true}) {
		t.Error("not resumable")
	}
	there(2)
	if err := cos.DiscardFile(name); err != nil {
		t.Error(err)
	}
	there(0)
	interrupted(cos.FileOptions{Jobs: 1, Resume: true})
	begun, ended := int64(0), false
	r, err := c.DownloadFile(ctx, object("x"), name, cos.FileOptions{Resume: true, Begin: func(size int64) (func(int64), func()) {
		begun = size
		return nil, func() { ended = true }
	}})
	if err != nil || !r.Verified || r.Found == 0 || begun != int64(len(b)) || !ended {
		t.Errorf("%+v, %v, began with %d, ended %v", r, err, begun, ended)
	}
	there(1)
	if got, err := os.ReadFile(name); err != nil || !bytes.Equal(got, b) {
		t.Errorf("content differs from the object: %v", err)
	}
	if _, err := c.DownloadFile(ctx, object("x"), name, cos.FileOptions{}); !errors.Is(err, fs.ErrExist) {
		t.Error(err)
	}
	if _, err := c.DownloadFile(ctx, object("x"), name, cos.FileOptions{Force: true}); err != nil {
		t.Error(err)
	}
	if _, err := c.DownloadFile(ctx, object("none"), name, cos.FileOptions{Force: true, Resume: true}); !errors.Is(err, cos.ErrNotFound) {
		t.Error(err)
	}
	there(1)
}

// TestBefore checks the checks before an upload.
func TestBefore(t *testing.T) {
	s := newService(t)
	c := client(t, cos.Options{Endpoint: s.URL, HMAC: hmacKey()})
	if asked, err := c.CheckPlace(ctx, object("x"), cos.PlaceOptions{}); err != nil || !asked {
		t.Error(asked, err)
	}
	if _, err := c.Upload(ctx, object("x"), bytes.NewReader(nil), 0, cos.UploadOptions{}); err != nil {
		t.Fatal(err)
	}
	if asked, err := c.CheckPlace(ctx, object("x"), cos.PlaceOptions{}); !errors.Is(err, fs.ErrExist) || !asked {
		t.Error(asked, err)
	}
	far := object("x")
	far.Region = "us"
	for _, l := range []struct {
		at        cos.Object
		keyRegion string
		asked     bool
		err       error
	}{
		{object("x"), "", true, nil}, {object("x"), "us-south", true, nil}, {object("x"), "eu-de", true, cos.ErrBucketRegion}, {far, "", false, cos.ErrBucketRegion},
	} {
		if asked, err := c.CheckPlace(ctx, l.at, cos.PlaceOptions{KeyRegion: l.keyRegion, Replace: true}); asked != l.asked || !errors.Is(err, l.err) {
			t.Errorf("%v, key in %q: asked %v, %v", l.at, l.keyRegion, asked, err)
		}
	}
	s.breaks(func(w http.ResponseWriter, _ *http.Request) bool { w.WriteHeader(http.StatusForbidden); return true })
	if asked, err := c.CheckPlace(ctx, object("x"), cos.PlaceOptions{}); asked || err != nil {
		t.Errorf("asked %v, %v", asked, err)
	}
	s.breaks(nil)
	for _, key := range []string{"y", "y", "yes"} {
		s.breaks(func(w http.ResponseWriter, r *http.Request) bool { // refuse the parts, so that the upload remains
			if r.Method == http.MethodPut {
				w.WriteHeader(http.StatusNotImplemented)
			}
			return r.Method == http.MethodPut
		})
		if _, err := c.Upload(ctx, object(key), bytes.NewReader(noise(6*mib, 31)), 6*mib, cos.UploadOptions{PartSize: 5 * mib, State: &memory{}}); err == nil {
			t.Fatal("upload succeeded")
		}
	}
	s.breaks(nil)
	ids, err := c.Unfinished(ctx, object("y"))
	if n, errAbort := c.AbortAll(ctx, object("y")); err != nil || errAbort != nil || len(ids) != 2 || n != 2 {
		t.Errorf("%d of %d, %v, %v", n, len(ids), err, errAbort)
	}
	if left, err := c.Unfinished(ctx, object("y")); err != nil || len(left) != 0 {
		t.Errorf("%q, %v", left, err)
	}
}
