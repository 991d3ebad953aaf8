package main

import (
	"crypto/md5"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/luksimg/luksimg/ibm/cos"
	"github.com/luksimg/luksimg/image"
	"github.com/luksimg/luksimg/shard"
)

// TestRecordReplaced has another process replace a record after it was stored and before it is checked.
func TestRecordReplaced(t *testing.T) {
	for _, replaced := range []bool{false, true} {
		var stored []byte
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodPut {
				stored, _ = io.ReadAll(r.Body)
			}
			w.Header().Set("ETag", fmt.Sprintf("\"%x\"", md5.Sum(stored)))
			if r.Method == http.MethodPut && replaced {
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
		err = o.Save(t.Context(), "0.json", []byte("of this process"), nil)
		if errors.Is(err, shard.ErrStale) != replaced || (err != nil) != replaced {
			t.Errorf("replaced %t: %v", replaced, err)
		}
		s.Close()
	}
}

// TestObjectReplaced checks the error for an object that is replaced after it was opened.
func TestObjectReplaced(t *testing.T) {
	etag := `"one"`
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("ETag", etag)
		http.ServeContent(w, r, "", time.Time{}, strings.NewReader("data"))
	}))
	defer s.Close()
	client, err := cos.New(cos.Options{Endpoint: s.URL, HMAC: &cos.HMAC{AccessKeyID: "a", SecretAccessKey: []byte("b")}})
	if err != nil {
		t.Fatal(err)
	}
	for _, next := range []string{`"one"`, `"two"`} {
		etag = `"one"`
		f, err := client.Open(t.Context(), cos.Object{Region: "us-south", Bucket: "images", Key: "disk"})
		if err != nil {
			t.Fatal(err)
		}
		etag = next
		_, err = objectReader{f}.ReadAt(make([]byte, 4), 0)
		f.Close()
		if changed := next != `"one"`; errors.Is(err, image.ErrChanged) != changed || errors.Is(err, cos.ErrChanged) != changed || (err != nil) != changed {
			t.Errorf("an object with the ETag %s: %v", next, err)
		}
	}
}
