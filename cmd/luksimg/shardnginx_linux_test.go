package main

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/luksimg/luksimg/internal/need"
)

// nginxTLS serves the files of a folder with range requests, without them, and through a redirect.
const nginxTLS = `
daemon off; master_process off; pid %[1]s/pid; error_log %[1]s/errors;
events {}
http {
	access_log off; client_body_temp_path %[1]s/t; proxy_temp_path %[1]s/t; fastcgi_temp_path %[1]s/t; uwsgi_temp_path %[1]s/t; scgi_temp_path %[1]s/t;
	server {
		listen %[2]s ssl; ssl_certificate %[1]s/cert.pem; ssl_certificate_key %[1]s/key.pem;
		location /files/ { alias %[1]s/files/; }
		location /whole/ { alias %[1]s/files/; max_ranges 0; }
		location /to/ { rewrite ^/to/(.*)$ /files/$1 redirect; }
	}
}
`

// startNginx starts nginx for the files of dir/files and returns its URL. dir/cert.pem is its certificate.
func startNginx(t *testing.T, dir string) string {
	t.Helper()
	need.Program(t, "nginx")
	program, err := need.Path("nginx")
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewTLSServer(nil) // for its certificate and a free port
	address, cert := s.Listener.Addr().String(), s.TLS.Certificates[0]
	s.Close()
	key, err := x509.MarshalPKCS8PrivateKey(cert.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	for name, b := range map[string][]byte{
		"conf":     fmt.Appendf(nil, nginxTLS, dir, address),
		"cert.pem": pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Certificate[0]}),
		"key.pem":  pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key}),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var out bytes.Buffer
	c := exec.Command(program, "-e", filepath.Join(dir, "errors"), "-c", filepath.Join(dir, "conf"))
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
	for range 600 {
		if conn, err := net.Dial("tcp", address); err == nil {
			conn.Close()
			return "https://" + address
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Fatalf("nginx does not start: %s", &out)
	return ""
}

// TestShardNginx makes an image by shards from a disk on nginx. The image must equal that of encrypt, and no shard may
// use another version of the disk.
func TestShardNginx(t *testing.T) {
	luksimg, dir := command(t), t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	if err := os.Mkdir(at("files"), 0o755); err != nil {
		t.Fatal(err)
	}
	disk := at("files/disk.raw")
	noise(t, disk, 24<<20)
	url := startNginx(t, dir)
	t.Setenv("SSL_CERT_FILE", at("cert.pem"))
	must(t, luksimg, "keygen", at("key"))
	must(t, luksimg, "keygen", "--raw", "--bytes", "64", at("volume.key"))
	made := func(verb ...string) []string {
		return append(verb, "-q", "--key-file", at("key"), "--volume-key-file", at("volume.key"), "--format", "luks1", "--pbkdf-force-iterations", "1000")
	}
	must(t, luksimg, append(made("encrypt"), disk, at("plain"))...)
	must(t, luksimg, append(made("shard", "plan"), "--shards", "2", "--part-size", "5M", url+"/to/disk.raw", at("image"), at("job"))...)
	for _, i := range []string{"1", "0"} {
		must(t, luksimg, "shard", "run", "--key-file", at("key"), "--shard", i, at("job"))
	}
	must(t, luksimg, "shard", "finish", "--verify", at("job"))
	a, errA := os.ReadFile(at("image"))
	b, errB := os.ReadFile(at("plain"))
	const header = 2 << 20
	if errA != nil || errB != nil || len(a) != header+24<<20 || !bytes.Equal(a[header:], b[header:]) {
		t.Errorf("the image of %d bytes is not that of encrypt, of %d: %v, %v", len(a), len(b), errA, errB)
	}

	fails := func(want string, args ...string) {
		t.Helper()
		out, err := exec.Command(luksimg, args...).CombinedOutput()
		if err == nil || !strings.Contains(string(out), want) {
			t.Errorf("%q: %v, and no %q: %s", args, err, want, out)
		}
	}
	fails("the server does not serve ranges of the file", append(made("shard", "plan"), url+"/whole/disk.raw", at("whole"), at("whole.job"))...)
	must(t, luksimg, append(made("shard", "plan"), "--shards", "2", url+"/files/disk.raw", at("changed"), at("changed.job"))...)
	if err := os.Chtimes(disk, time.Time{}, time.Unix(1e9, 0)); err != nil {
		t.Fatal(err)
	}
	fails("the source has changed since the job was planned: its ETag is", "shard", "run", "--key-file", at("key"), "--shard", "0", at("changed.job"))
	for _, name := range []string{"whole.luksimg-shard", "whole.job"} {
		if _, err := os.Lstat(at(name)); !os.IsNotExist(err) {
			t.Errorf("%s is there: %v", name, err)
		}
	}
}
