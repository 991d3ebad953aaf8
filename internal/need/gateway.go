package need

import (
	"bytes"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"
	"time"
)

// Gateway starts versitygw, an independent server of the S3 protocol, in the region us-south and
// without buckets. A folder in dir is a bucket, and a file in it an object. The server checks
// signatures, hashes and the region.
func Gateway(t testing.TB, accessKey, secretKey string) (endpoint, dir string) {
	t.Helper()
	_, here, _, _ := runtime.Caller(0)
	path := filepath.Join(filepath.Dir(here), "../../.cache/bin/versitygw")
	if _, err := os.Stat(path); err != nil {
		if path, err = exec.LookPath("versitygw"); err != nil {
			Lack(t, "versitygw is not installed: scripts/versitygw.sh builds it")
		}
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	l.Close() // versitygw needs a port number, and this one is free
	dir = t.TempDir()
	for _, sub := range []string{"data", "meta"} {
		if err := os.Mkdir(filepath.Join(dir, sub), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command(path, "--port", address, "--region", "us-south", "posix", "--sidecar", filepath.Join(dir, "meta"), filepath.Join(dir, "data"))
	cmd.Env = append(os.Environ(), "ROOT_ACCESS_KEY="+accessKey, "ROOT_SECRET_KEY="+secretKey)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
		if t.Failed() {
			t.Logf("versitygw: %.3000s", out.String())
		}
	})
	for try := 0; ; try++ {
		conn, err := net.Dial("tcp", address)
		if err == nil {
			conn.Close()
			return "http://" + address, filepath.Join(dir, "data")
		}
		if try == 600 {
			t.Fatal("versitygw does not start")
		}
		time.Sleep(50 * time.Millisecond)
	}
}
