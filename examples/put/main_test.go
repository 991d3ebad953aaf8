package main

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/luksimg/luksimg"
)

// TestPut sends a disk to a server and opens the received image.
func TestPut(t *testing.T) {
	disk, key := bytes.Repeat([]byte("the disk"), 1<<16), []byte("a passphrase")
	name := filepath.Join(t.TempDir(), "disk.raw")
	if err := os.WriteFile(name, disk, 0o600); err != nil {
		t.Fatal(err)
	}
	var body []byte
	var length string
	status := http.StatusCreated
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		length = r.Header.Get("Content-Length")
		body, _ = io.ReadAll(r.Body)
		w.WriteHeader(status)
	}))
	defer server.Close()
	if err := put(t.Context(), server.Client(), name, server.URL, key); err != nil {
		t.Fatal(err)
	}
	if length != strconv.Itoa(len(body)) {
		t.Errorf("Content-Length %q of %d bytes", length, len(body))
	}
	img, err := luksimg.OpenImage(t.Context(), bytes.NewReader(body), int64(len(body)), luksimg.ImageOptions{Key: key})
	if err != nil {
		t.Fatal(err)
	}
	defer img.Close()
	if got, err := io.ReadAll(io.NewSectionReader(img, 0, img.Size())); err != nil || !bytes.Equal(got, disk) {
		t.Errorf("%d bytes that differ from the disk, %v", len(got), err)
	}

	status = http.StatusForbidden
	if err := put(t.Context(), server.Client(), name, server.URL, key); err == nil {
		t.Error("no error for a refused request")
	}
	server.Close()
	if err := put(t.Context(), server.Client(), name, server.URL, key); err == nil {
		t.Error("no error without a server")
	}
}
