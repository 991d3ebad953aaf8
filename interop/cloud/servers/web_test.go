package servers

import (
	"bytes"
	"crypto/sha256"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/luksimg/luksimg/image/web"
	"github.com/luksimg/luksimg/internal/rest/resttest"
)

// TestWeb reads a file from a web server over TLS through each network: by two alternating readers, as the jobs do,
// at random, and sequentially. The content must be complete and equal.
func TestWeb(t *testing.T) {
	b := noise(24*mib+77, 7)
	s := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Etag", `"one"`)
		http.ServeContent(w, r, "disk.raw", time.Unix(1_700_000_000, 0), bytes.NewReader(b))
	}))
	defer s.Close()
	for fault, l := range networks {
		t.Run(fault, func(t *testing.T) {
			n := newNetwork(t, s.URL, l.all, l.toxics...)
			tr := n.transport(t, l.keep)
			tr.TLSClientConfig = s.Client().Transport.(*http.Transport).TLSClientConfig
			f, err := web.Open(ctx, s.URL+"/disk.raw", web.Options{Transport: tr, Attempts: 40, Stall: time.Second, Clock: resttest.Still(time.Now())})
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			got := make([]byte, len(b))
			var wg sync.WaitGroup
			for worker := range 2 {
				wg.Go(func() {
					for at := worker * 2 * mib; at < len(b); at += 4 * mib {
						if _, err := f.ReadAt(got[at:min(at+2*mib, len(b))], int64(at)); err != nil {
							t.Errorf("at %d: %v", at, err)
						}
					}
				})
			}
			wg.Wait()
			want := sha256.Sum256(b)
			if sha256.Sum256(got) != want {
				t.Error("alternating readers: content differs")
			}
			for _, at := range []int64{20 * mib, 5*mib - 100, 13*mib + 1} {
				p := make([]byte, 200)
				if _, err := f.ReadAt(p, at); err != nil || !bytes.Equal(p, b[at:][:200]) {
					t.Errorf("at %d: %v", at, err)
				}
			}
			r := f.Stream(ctx)
			defer r.Close()
			h := sha256.New()
			if _, err := io.Copy(h, r); err != nil || !bytes.Equal(h.Sum(nil), want[:]) {
				t.Errorf("in order: %v", err)
			}
			if n.bad == 0 {
				t.Error("no connection had the fault")
			}
		})
	}
}
