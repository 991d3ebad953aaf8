package web_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/luksimg/luksimg/image"
	"github.com/luksimg/luksimg/image/web"
	"github.com/luksimg/luksimg/internal/imagetest"
	"github.com/luksimg/luksimg/internal/need"
	"github.com/luksimg/luksimg/internal/rest"
)

// nginxConf serves the same files with ranges, without ranges, compressed, and behind a redirect.
const nginxConf = `
daemon off; master_process off; pid %[1]s/pid; error_log %[1]s/errors;
events {}
http {
	access_log off; client_body_temp_path %[1]s/t; proxy_temp_path %[1]s/t; fastcgi_temp_path %[1]s/t; uwsgi_temp_path %[1]s/t; scgi_temp_path %[1]s/t;
	types { text/plain raw; }
	server {
		listen unix:%[1]s/sock;
		location /files/ { alias %[1]s/files/; }
		location /whole/ { alias %[1]s/files/; max_ranges 0; }
		location /gzip/ { alias %[1]s/files/; gzip on; gzip_min_length 1; }
		location /slow/ { alias %[1]s/files/; limit_rate_after 300k; limit_rate 20m; keepalive_requests 2; }
		location /to/ { rewrite ^/to/(.*)$ /files/$1 redirect; }
	}
}
`

// nginx starts nginx for the files of a folder, on a socket in it, and returns a transport to it.
func nginx(t *testing.T, dir string) *http.Transport {
	need.Program(t, "nginx")
	program, err := need.Path("nginx")
	if err != nil {
		t.Fatal(err)
	}
	conf := filepath.Join(dir, "conf")
	if err := os.WriteFile(conf, fmt.Appendf(nil, nginxConf, dir), 0o600); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	c := exec.Command(program, "-e", filepath.Join(dir, "errors"), "-c", conf)
	c.Stdout, c.Stderr = &out, &out
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		c.Process.Kill()
		c.Wait()
		if t.Failed() {
			errs, _ := os.ReadFile(filepath.Join(dir, "errors"))
			t.Logf("nginx: %s%.3000s", &out, errs)
		}
	})
	tr := &http.Transport{DisableCompression: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", filepath.Join(dir, "sock"))
	}}
	t.Cleanup(tr.CloseIdleConnections)
	for range 600 {
		if conn, err := tr.DialContext(t.Context(), "", ""); err == nil {
			conn.Close()
			return tr
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Fatalf("nginx does not start: %s", &out)
	return nil
}

// TestNginx reads files from nginx.
func TestNginx(t *testing.T) {
	dir, err := os.MkdirTemp("", "nginx") // with a short name, for the socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.MkdirAll(filepath.Join(dir, "files"), 0o755); err != nil {
		t.Fatal(err)
	}
	files := map[string][]byte{"disk.raw": imagetest.Noise(20*mib+77, 1), "small.raw": bytes.Repeat([]byte("text "), 1000), "empty.raw": nil}
	for name, b := range files {
		if err := os.WriteFile(filepath.Join(dir, "files", name), b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	o := web.Options{Transport: nginx(t, dir), Attempts: 3}
	open := func(t *testing.T, path string) *web.File {
		f, err := web.Open(t.Context(), "http://localhost"+path, o)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { f.Close() })
		return f
	}
	for name, b := range files {
		for _, how := range []string{"files", "whole", "gzip", "slow", "to"} {
			t.Run(how+" "+name, func(t *testing.T) {
				f := open(t, "/"+how+"/"+name)
				if got, err := io.ReadAll(f.Stream(t.Context())); err != nil || !bytes.Equal(got, b) {
					t.Errorf("Stream: %d bytes of %d, %v", len(got), len(b), err)
				}
				if ranges := how != "whole" || len(b) < 16*mib; f.Ranges() != ranges {
					t.Errorf("ranges: %v", f.Ranges())
				} else if ranges {
					imagetest.Source(t, f, b)
				}
			})
		}
	}
	if _, err := web.Open(t.Context(), "http://localhost/files/none", o); !errors.Is(err, rest.ErrNotFound) {
		t.Errorf("a missing file: %v", err)
	}
	for i, how := range []string{"files", "whole"} {
		f := open(t, "/"+how+"/disk.raw")
		later := time.Now().Add(time.Duration(i+1) * time.Minute)
		if err := os.Chtimes(filepath.Join(dir, "files", "disk.raw"), later, later); err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, f.Stream(t.Context())); !errors.Is(err, image.ErrChanged) {
			t.Errorf("%s: a file that changed: %v", how, err)
		}
	}
}

// TestPython reads from Python's http.server, which does not support ranges and uses HTTP/1.0.
func TestPython(t *testing.T) {
	need.Program(t, "python3")
	dir := t.TempDir()
	files := map[string][]byte{"disk.raw": imagetest.Noise(17*mib, 2), "small.raw": imagetest.Noise(5000, 3)}
	for name, b := range files {
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	c := exec.Command("python3", "-u", "-m", "http.server", "--bind", "127.0.0.1", "--directory", dir, "0")
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { c.Process.Kill(); c.Wait() }()
	// "Serving HTTP on 127.0.0.1 port 41001 (http://127.0.0.1:41001/) ..."
	p := make([]byte, 200)
	n, err := out.Read(p)
	_, address, _ := strings.Cut(string(p[:n]), "(")
	address, _, ok := strings.Cut(address, "/)")
	if err != nil || !ok {
		t.Fatalf("%q, %v", p[:n], err)
	}
	go io.Copy(io.Discard, out)
	for name, b := range files {
		f, err := web.Open(t.Context(), address+"/"+name, web.Options{})
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(f.Stream(t.Context()))
		if err != nil || !bytes.Equal(got, b) || f.Ranges() != (name == "small.raw") || f.Version().LastModified == "" {
			t.Errorf("%s: %d bytes, %v, ranges: %v, %+v", name, len(got), err, f.Ranges(), f.Version())
		}
		f.Close()
	}
}
