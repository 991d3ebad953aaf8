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

// A Tang is a Tang server on loopback.
type Tang struct {
	URL  string
	Keys string // the folder of its keys
	t    testing.TB
	cmd  *exec.Cmd
}

// NewTang starts tangd, with new keys, behind socat.
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
	l.Close() // socat wants a number, and this one is free
	s.cmd = exec.Command("socat", "TCP-LISTEN:"+port+",bind=127.0.0.1,reuseaddr,fork", "EXEC:"+tangd+" "+s.Keys)
	var out bytes.Buffer
	s.cmd.Stdout, s.cmd.Stderr = &out, &out
	s.cmd.WaitDelay = time.Second // for connections that are still there
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

// Stop ends the server. Its keys stay.
func (s *Tang) Stop() {
	if s.cmd != nil {
		s.cmd.Process.Kill()
		s.cmd.Wait()
		s.cmd = nil
	}
}

// Rotate gives the server new keys, and hides the old ones: they are advertised no more, and still open
// what they closed.
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

// Thumbprint returns that of the key it signs with, by an algorithm of jose: S256 or S1.
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

// Replace gives the server keys that jose makes of these templates instead of those that it has.
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
