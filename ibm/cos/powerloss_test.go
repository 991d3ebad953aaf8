package cos_test

import (
	"bytes"
	"net/http"
	"sync/atomic"
	"testing"

	"github.com/luksimg/luksimg/ibm/cos"
	"github.com/luksimg/luksimg/internal/faultfs"
	"github.com/luksimg/luksimg/internal/output"
)

// TestDownloadPowerLoss simulates a power loss during a download. Whatever part of the data and
// the state reached the disk, the next run must complete the object.
func TestDownloadPowerLoss(t *testing.T) {
	s := newService(t)
	c := client(t, cos.Options{Endpoint: s.URL, HMAC: hmacKey()})
	b := noise(10*mib+777, 12)
	if _, err := c.Upload(ctx, object("x"), bytes.NewReader(b), int64(len(b)), cos.UploadOptions{PartSize: 5 * mib}); err != nil {
		t.Fatal(err)
	}
	run := func(d *faultfs.FS) error {
		defer output.Use(d)()
		f, err := output.Resume("dir/x", 0o600, false)
		if err != nil {
			return err
		}
		defer f.Abort()
		if _, err := c.Download(ctx, object("x"), f, cos.DownloadOptions{Jobs: 1, State: cos.StateFile("dir/x.json")}); err != nil {
			f.Keep()
			return err
		}
		return f.Commit()
	}
	// The last part is refused.
	var gets atomic.Int64
	s.breaks(func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method != http.MethodGet || gets.Add(1) < 3 {
			return false
		}
		w.WriteHeader(http.StatusForbidden)
		return true
	})
	d := faultfs.New()
	if err := run(d); err == nil {
		t.Fatal("no request was refused")
	}
	if names := d.Names(); len(names) != 2 {
		t.Fatalf("files: %q", names)
	}
	s.breaks(nil)
	n := 0
	for at, crashed := range d.Crashes(1) {
		if crashed.ReadFile("dir/x") != nil {
			t.Fatalf("%v: the file exists before it is complete", at)
		}
		if n++; n%50 != 0 && (!at.End || n%2 != 0) {
			continue
		}
		if err := run(crashed); err != nil || !bytes.Equal(crashed.ReadFile("dir/x"), b) {
			t.Fatalf("%v: the next run: %v", at, err)
		}
		if names := crashed.Names(); len(names) != 1 {
			t.Fatalf("%v: remaining files: %q", at, names)
		}
	}
}
