package main

import (
	"crypto/md5"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/luksimg/luksimg/ibm/cos"
)

// TestRecordReplaced has another process replace a record after it was stored, and before it is
// looked at.
func TestRecordReplaced(t *testing.T) {
	for _, replaced := range []int{0, 1, tries - 1, tries} {
		var stored []byte
		puts := 0
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodPut {
				stored, _ = io.ReadAll(r.Body)
				puts++
			}
			w.Header().Set("ETag", fmt.Sprintf("\"%x\"", md5.Sum(stored)))
			if r.Method == http.MethodPut && puts <= replaced {
				stored = []byte("of another process")
			}
			if r.Method == http.MethodHead {
				w.Header().Set("Content-Length", fmt.Sprint(len(stored)))
			}
		}))
		client, err := cos.New(cos.Options{Endpoint: s.URL, HMAC: &cos.HMAC{AccessKeyID: "a", SecretAccessKey: []byte("b")}})
		if err != nil {
			t.Fatal(err)
		}
		o := objectTarget{client, cos.Object{Region: "us-south", Bucket: "images", Key: "disk"}}
		err = o.Save(t.Context(), "0.json", []byte("of this process"))
		if want := min(replaced+1, tries); puts != want || (err == nil) != (replaced < tries) {
			t.Errorf("replaced %d times: stored %d times, want %d: %v", replaced, puts, want, err)
		}
		s.Close()
	}
}
