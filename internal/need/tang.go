package need

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

const tangd = "/usr/libexec/tangd"

// A Tang is a Tang server on the loopback interface.
type Tang struct {
	URL  string
	Keys string // folder of the keys
	t    testing.TB
	cmd  *exec.Cmd
}

// NewTang starts tangd with new keys, behind socat.
func NewTang(t testing.TB) *Tang {
	t.Helper()
	Program(t, tangd, "socat", "jose")
	s := &Tang{Keys: t.TempDir(), t: t}
	Run(t, s.Keys, tangd+"-keygen", s.Keys)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(l.Addr().String())
	s.URL = "http://127.0.0.1:" + port
	l.Close() // socat needs a port number, and this one is free
	s.cmd = exec.Command("socat", "TCP-LISTEN:"+port+",bind=127.0.0.1,reuseaddr,fork", "EXEC:"+tangd+" "+s.Keys)
	var out bytes.Buffer
	s.cmd.Stdout, s.cmd.Stderr = &out, &out
	s.cmd.WaitDelay = time.Second // for open connections
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		s.Stop()
		if t.Failed() {
			t.Logf("tangd: %.3000s", out.String())
		}
	})
	for try := 0; ; try++ {
		conn, err := net.Dial("tcp", "127.0.0.1:"+port)
		if err == nil {
			conn.Close()
			return s
		}
		if try == 600 {
			t.Fatal("socat does not start")
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// Stop stops the server and keeps its keys.
func (s *Tang) Stop() {
	if s.cmd != nil {
		s.cmd.Process.Kill()
		s.cmd.Wait()
		s.cmd = nil
	}
}

// Rotate creates new keys and hides the old ones. The server no longer advertises hidden keys, but
// still recovers secrets with them.
func (s *Tang) Rotate() {
	s.t.Helper()
	Run(s.t, s.Keys, tangd+"-rotate-keys", "-d", s.Keys)
}

// Forget removes the keys that Rotate hid.
func (s *Tang) Forget() {
	s.t.Helper()
	hidden, err := filepath.Glob(filepath.Join(s.Keys, ".*.jwk"))
	if err != nil || len(hidden) == 0 {
		s.t.Fatalf("hidden keys: %q, %v", hidden, err)
	}
	for _, name := range hidden {
		if err := os.Remove(name); err != nil {
			s.t.Fatal(err)
		}
	}
}

// Thumbprint returns the thumbprint of the server's signing key, by an algorithm of jose: S256 or S1.
func (s *Tang) Thumbprint(alg string) string {
	s.t.Helper()
	names, err := filepath.Glob(filepath.Join(s.Keys, "[^.]*.jwk"))
	if err != nil {
		s.t.Fatal(err)
	}
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			s.t.Fatal(err)
		}
		if bytes.Contains(text, []byte("ES512")) {
			return string(bytes.TrimSpace([]byte(Run(s.t, "", "jose", "jwk", "thp", "-i", name, "-a", alg))))
		}
	}
	s.t.Fatal("the server has no signing key")
	return ""
}

// Replace replaces the keys of the server by keys that jose generates from these templates.
func (s *Tang) Replace(templates ...string) {
	s.t.Helper()
	names, err := filepath.Glob(filepath.Join(s.Keys, "*.jwk"))
	if err != nil {
		s.t.Fatal(err)
	}
	for _, name := range names {
		if err := os.Remove(name); err != nil {
			s.t.Fatal(err)
		}
	}
	for i, text := range templates {
		Run(s.t, s.Keys, "jose", "jwk", "gen", "-i", text, "-o", fmt.Sprintf("%d.jwk", i))
	}
}
