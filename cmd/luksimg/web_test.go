package main

import (
	"bytes"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// TestWeb runs the scripts that read from a web server. It serves the files of the script. $SSL_CERT_FILE names its
// certificate.
func TestWeb(t *testing.T) {
	testscript.Run(t, testscript.Params{Dir: "testdata/web", Cmds: scriptCommands, Setup: func(e *testscript.Env) error {
		w := &webServer{dir: http.Dir(e.WorkDir)}
		s := httptest.NewUnstartedServer(w)
		s.Config.ErrorLog = log.New(io.Discard, "", 0)
		s.StartTLS()
		e.Defer(s.Close)
		ca := filepath.Join(e.WorkDir, ".tmp", "ca.pem")
		e.Vars = append(e.Vars, "URL="+s.URL, "HOST="+strings.TrimPrefix(s.URL, "https://"), "SSL_CERT_FILE="+ca)
		return os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}), 0o600)
	}})
}

// A webServer serves the files of a folder. The first element of a path selects the behavior.
type webServer struct {
	dir    http.FileSystem
	count  atomic.Int64
	served atomic.Int64 // number of times that "fickle" served byte 1000
}

func (s *webServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	how, name, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	w.Header().Set("Etag", `"`+name+s.suffix(name)+`"`)
	switch how {
	case "ok":
	case "whole": // no ranges
		r.Header.Del("Range")
		w.Header().Set("Content-Type", "application/octet-stream")
	case "unversioned":
		w.Header().Del("Etag")
	case "resets":
		if rand.IntN(2) == 0 {
			w = &breaking{w, rand.IntN(3 << 20)}
		}
	case "changes":
		if s.count.Add(1) > 2 {
			w.Header().Set("Etag", `"another"`)
		}
	case "middle": // the version changes before byte 10,000,000 is read
		var from int
		if n, _ := fmt.Sscanf(r.Header.Get("Range"), "bytes=%d-", &from); n == 1 && 10_000_000 <= from && from < 20_000_000 {
			w.Header().Set("Etag", `"another"`)
		}
	case "fickle": // byte 1000 differs from the second time on, but the ETag does not
		var from, to int
		if n, _ := fmt.Sscanf(r.Header.Get("Range"), "bytes=%d-%d", &from, &to); n == 2 && from <= 1000 && 1000 <= to && s.served.Add(1) > 1 {
			w = &flipping{w, 1000 - from}
		}
	case "to":
		http.Redirect(w, r, "/ok/"+name+"?signature=hush", http.StatusFound)
		return
	case "http":
		http.Redirect(w, r, "http://example.com/"+name, http.StatusFound)
		return
	case "signed":
		if r.URL.RawQuery != "signature=hush" {
			w.WriteHeader(http.StatusForbidden)
			return
		}
	default:
		http.NotFound(w, r)
		return
	}
	f, err := s.dir.Open(name)
	if err != nil {
		http.NotFound(w, r)
		return
	}
	defer f.Close()
	fi, err := f.Stat()
	if err != nil {
		panic(err)
	}
	mtime := fi.ModTime()
	if how == "unversioned" {
		mtime = time.Time{} // no Last-Modified
	}
	http.ServeContent(w, r, name, mtime, f)
}

// suffix returns the content of a file that a script wrote beside another one: the end of the ETag.
func (s *webServer) suffix(name string) string {
	f, err := s.dir.Open(name + ".etag")
	if err != nil {
		return ""
	}
	defer f.Close()
	b, err := io.ReadAll(f)
	if err != nil {
		panic(err)
	}
	return strings.TrimSpace(string(b))
}

// flipping changes one byte of the body.
type flipping struct {
	http.ResponseWriter
	at int
}

func (f *flipping) Write(p []byte) (int, error) {
	if f.at >= 0 && f.at < len(p) {
		p = bytes.Clone(p)
		p[f.at] ^= 1
	}
	f.at -= len(p)
	return f.ResponseWriter.Write(p)
}

// breaking breaks the connection after some bytes of the body.
type breaking struct {
	http.ResponseWriter
	left int
}

func (b *breaking) Write(p []byte) (int, error) {
	if len(p) > b.left {
		b.ResponseWriter.Write(p[:b.left])
		http.NewResponseController(b.ResponseWriter).Flush()
		panic(http.ErrAbortHandler)
	}
	b.left -= len(p)
	return b.ResponseWriter.Write(p)
}

func TestCutImage(t *testing.T) {
	for arg, want := range map[string][2]string{
		"disk.raw:/etc/fstab":                        {"disk.raw", "/etc/fstab"},
		"https://x/disk.raw:/etc/fstab":              {"https://x/disk.raw", "/etc/fstab"},
		"https://x:443/disk.raw":                     {"https://x:443/disk.raw", ""},
		"https://x:443/disk.raw:/a:b":                {"https://x:443/disk.raw", "/a:b"},
		"https://x/get?from=https://y/disk.raw:/etc": {"https://x/get?from=https://y/disk.raw", "/etc"},
		"https://x/get?from=https://y/disk.raw":      {"https://x/get?from=https://y/disk.raw", ""},
		"https://x":                                  {"https://x", ""},
		"cos://us-south/images/disk.raw:/etc/fstab":  {"cos://us-south/images/disk.raw", "/etc/fstab"},
	} {
		if name, path := cutImage(arg); name != want[0] || path != want[1] {
			t.Errorf("%s: %q, %q", arg, name, path)
		}
	}
}
