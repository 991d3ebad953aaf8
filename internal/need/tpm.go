package need

import (
	"fmt"
	"net"
	"os/exec"
	"testing"
	"time"
)

// TPM starts a software TPM2 on the loopback interface, and returns its address in the format of
// libtss2.
func TPM(t testing.TB) string {
	t.Helper()
	Program(t, "swtpm", "tpm2_unseal")
	dir := t.TempDir()
	// The control port is the next one: libtss2 has no option for another.
	for try := 0; ; try++ {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		port := l.Addr().(*net.TCPAddr).Port
		l.Close()
		cmd := exec.Command("swtpm", "socket", "--tpm2", "--tpmstate", "dir="+dir, "--flags", "startup-clear,not-need-init",
			"--server", fmt.Sprintf("type=tcp,port=%d,bindaddr=127.0.0.1", port), "--ctrl", fmt.Sprintf("type=tcp,port=%d,bindaddr=127.0.0.1", port+1))
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		ended := make(chan struct{})
		go func() { cmd.Wait(); close(ended) }()
		t.Cleanup(func() { cmd.Process.Kill(); <-ended })
		if listens(port+1, ended) {
			return fmt.Sprintf("swtpm:host=127.0.0.1,port=%d", port)
		}
		if try == 5 {
			t.Fatal("swtpm does not start")
		}
	}
}

// listens waits until a server listens on the port, and returns false if the program ends first.
func listens(port int, ended <-chan struct{}) bool {
	for range 600 {
		conn, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err == nil {
			conn.Close()
			return true
		}
		select {
		case <-ended:
			return false
		case <-time.After(50 * time.Millisecond):
		}
	}
	return false
}
