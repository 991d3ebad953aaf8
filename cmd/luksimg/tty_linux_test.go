package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/luksimg/luksimg/cmd/luksimg/internal/exit"
)

// A session is a command on a new terminal.
type session struct {
	t       *testing.T
	cmd     *exec.Cmd
	control *os.File       // the master side of the terminal
	in      io.WriteCloser // standard input, a pipe
	ended   chan struct{}

	mu  sync.Mutex
	out bytes.Buffer // everything that the terminal showed
}

// start starts the command on a new terminal. Its standard input is a pipe.
func start(t *testing.T, dir, name string, args ...string) *session {
	t.Helper()
	control, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		skip(t, "no pseudo-terminals here", err)
	}
	t.Cleanup(func() { control.Close() })
	if err := unix.IoctlSetPointerInt(int(control.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(int(control.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	tty, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer tty.Close()
	s := &session{t: t, control: control, ended: make(chan struct{})}
	s.cmd = exec.Command(name, args...)
	s.cmd.Dir = dir
	s.cmd.Env = append(os.Environ(), "TERM=xterm")
	s.cmd.Stdout, s.cmd.Stderr = tty, tty
	s.cmd.ExtraFiles = []*os.File{tty}
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true, Ctty: 3}
	if s.in, err = s.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.in.Close() })
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(s.ended)
		b := make([]byte, 4096)
		for {
			n, err := control.Read(b)
			s.mu.Lock()
			s.out.Write(b[:n])
			s.mu.Unlock()
			if err != nil {
				return
			}
		}
	}()
	return s
}

// skip skips a test that cannot run here. With CI=true it fails.
func skip(t *testing.T, why string, err error) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatalf("%s: %v", why, err)
	}
	t.Skipf("%s: %v", why, err)
}

func (s *session) text() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.out.String()
}

// expect waits until the terminal has shown a text.
func (s *session) expect(text string) {
	s.t.Helper()
	s.expectTimes(text, 1)
}

// expectTimes waits until the terminal has shown a text n times.
func (s *session) expectTimes(text string, n int) {
	s.t.Helper()
	for range 600 {
		if strings.Count(s.text(), text) >= n {
			return
		}
		select {
		case <-s.ended:
			if strings.Count(s.text(), text) < n {
				s.t.Fatalf("the terminal never showed %q:\n%s", text, s.text())
			}
			return
		case <-time.After(50 * time.Millisecond):
		}
	}
	s.t.Fatalf("the terminal does not show %q:\n%s", text, s.text())
}

func (s *session) enter(text string) {
	if _, err := io.WriteString(s.control, text); err != nil {
		s.t.Fatal(err)
	}
}

// code waits for the end of the command and returns its exit code.
func (s *session) code() int {
	err := s.cmd.Wait()
	<-s.ended
	if e := new(exec.ExitError); err != nil && !errors.As(err, &e) {
		s.t.Fatal(err)
	}
	return s.cmd.ProcessState.ExitCode()
}

// TestUnwrapTerminal checks that a key is not written to a terminal.
func TestUnwrapTerminal(t *testing.T) {
	luksimg, dir := command(t), t.TempDir()
	s := start(t, dir, luksimg, "unwrap", "--envelope", "absent", "-")
	s.expect("the key will not be written to a terminal")
	if code := s.code(); code != exit.Failure {
		t.Errorf("exit code %d", code)
	}
}

func TestTerminal(t *testing.T) {
	luksimg, dir := command(t), t.TempDir()
	noise(t, filepath.Join(dir, "disk"), 1<<20)
	encrypt := []string{"encrypt", "--format", "luks1", "--pbkdf-force-iterations", "1000", "disk", "x"}

	t.Run("prompt", func(t *testing.T) {
		s := start(t, dir, luksimg, encrypt...)
		s.expect("New passphrase for x: ")
		s.enter("secret words\n")
		s.expect("Repeat it: ")
		s.enter("secret words\n")
		if code := s.code(); code != 0 || strings.Contains(s.text(), "secret") {
			t.Errorf("exit code %d, or the passphrase was shown:\n%s", code, s.text())
		}
		s = start(t, dir, luksimg, "cat", "x")
		s.expect("will not be written to a terminal")
		if code := s.code(); code != exit.Failure {
			t.Errorf("exit code %d", code)
		}
		os.Remove(filepath.Join(dir, "x"))
	})
	t.Run("mismatch", func(t *testing.T) {
		s := start(t, dir, luksimg, encrypt...)
		s.expect("New passphrase")
		s.enter("secret words\n")
		s.expect("Repeat it: ")
		s.enter("secret word\n")
		if code := s.code(); code != exit.Failure || !strings.Contains(s.text(), "the passphrases differ") {
			t.Errorf("exit code %d:\n%s", code, s.text())
		}
	})
	t.Run("Ctrl-C at the prompt", func(t *testing.T) {
		s := start(t, dir, luksimg, encrypt...)
		s.expect("New passphrase")
		before, err := unix.IoctlGetTermios(int(s.control.Fd()), unix.TCGETS)
		if err != nil {
			t.Fatal(err)
		}
		s.enter("secr\x03")
		// Read the terminal while the command still has it open, because its end resets the terminal.
		if code := s.code(); code != exit.Cancelled {
			t.Errorf("exit code %d:\n%s", code, s.text())
		}
		after, err := unix.IoctlGetTermios(int(s.control.Fd()), unix.TCGETS)
		if err == nil && (before.Lflag&unix.ECHO != 0 || after.Lflag&unix.ECHO == 0) {
			t.Errorf("echo is %v at the prompt, %v after it", before.Lflag&unix.ECHO != 0, after.Lflag&unix.ECHO != 0)
		}
	})
	if got := names(t, dir); !slices.Equal(got, []string{"disk"}) {
		t.Errorf("files: %q", got)
	}
}

// TestBar runs a job that waits for standard input, so that the bar is drawn.
func TestBar(t *testing.T) {
	luksimg, dir := command(t), t.TempDir()
	must(t, luksimg, "keygen", filepath.Join(dir, "key"))
	encrypt := []string{"encrypt", "--key-file", "key", "--format", "luks1", "-", "x"}
	for _, mode := range []string{"auto", "bar"} {
		s := start(t, dir, luksimg, append(encrypt, "--progress", mode)...)
		if _, err := s.in.Write(make([]byte, 64<<10)); err != nil {
			t.Fatal(err)
		}
		s.expect("\rencrypt ")
		s.cmd.Process.Signal(syscall.SIGUSR1)
		s.expect("luksimg: encrypt 0 B")
		s.enter("\x03")
		if code := s.code(); code != exit.Cancelled || !strings.Contains(s.text(), "luksimg: error: cancelled") {
			t.Errorf("%s: exit code %d:\n%q", mode, code, s.text())
		}
	}
	// A pipe gets lines without carriage returns.
	for _, mode := range []string{"auto", "plain", "json", "none"} {
		c := exec.Command(luksimg, append(encrypt, "--progress", mode)...)
		c.Dir = dir
		in, err := c.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		out, err := c.StderrPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		// The first line shows that the job has begun. Before that, the signal would end it.
		var text bytes.Buffer
		b := make([]byte, 1)
		read := func(until string) {
			for !strings.Contains(text.String(), until) {
				if _, err := out.Read(b); err != nil {
					t.Fatalf("%s: %v: %s", mode, err, &text)
				}
				text.Write(b)
			}
		}
		// More data than the pipe holds, even if it was enlarged: when all of it is written, the job has begun.
		if _, err := in.Write(make([]byte, 3<<20)); err != nil {
			t.Fatal(err)
		}
		read("key: 44 bytes")
		if mode == "json" {
			read(`"phase":"encrypt"`)
		} else {
			c.Process.Signal(syscall.SIGUSR1)
			read("luksimg: encrypt ")
		}
		in.Close()
		text.ReadFrom(out)
		if err := c.Wait(); err != nil {
			t.Errorf("%s: %v", mode, err)
		}
		if strings.Contains(text.String(), "\r") {
			t.Errorf("%s: a carriage return in a pipe: %q", mode, &text)
		}
		os.Remove(filepath.Join(dir, "x"))
	}
}

// TestBarNarrow changes the width of the terminal during a job.
func TestBarNarrow(t *testing.T) {
	luksimg, dir := command(t), t.TempDir()
	must(t, luksimg, "keygen", filepath.Join(dir, "key"))
	s := start(t, dir, luksimg, "encrypt", "--key-file", "key", "--format", "luks1", "--pbkdf-force-iterations", "1000", "-", "x")
	if _, err := s.in.Write(make([]byte, 64<<10)); err != nil {
		t.Fatal(err)
	}
	s.expect("\rencrypt ")
	for _, width := range []uint16{20, 10, 40} {
		if err := unix.IoctlSetWinsize(int(s.control.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: 24, Col: width}); err != nil {
			t.Fatal(err)
		}
		// The first drawing after this one uses the new width.
		n := strings.Count(s.text(), "\r")
		s.expectTimes("\r", n+3)
		lines := strings.Split(s.text(), "\r")
		if last := lines[n+2]; len(last) == 0 || len(last) >= int(width) {
			t.Errorf("%d columns: %q", width, last)
		}
	}
	s.enter("\x03")
	s.code()
}

// TestChanged changes the source while it is read.
func TestChanged(t *testing.T) {
	luksimg, dir := command(t), t.TempDir()
	must(t, luksimg, "keygen", filepath.Join(dir, "key"))
	disk := filepath.Join(dir, "disk")
	for name, change := range map[string]func() error{
		"longer":  func() error { return os.Truncate(disk, 9<<20) },
		"shorter": func() error { return os.Truncate(disk, 7<<20) },
		"written": func() error { return os.Chtimes(disk, time.Time{}, time.Now().Add(time.Hour)) },
	} {
		noise(t, disk, 8<<20)
		c := exec.Command(luksimg, "encrypt", "-q", "--key-file", "key", "--format", "luks1", "disk", "-")
		c.Dir = dir
		out, err := c.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		var errs bytes.Buffer
		c.Stderr = &errs
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		// The pipe holds less than the image, so the job waits in the middle.
		if _, err := io.CopyN(io.Discard, out, 1<<20); err != nil {
			t.Fatal(err)
		}
		if err := change(); err != nil {
			t.Fatal(err)
		}
		io.Copy(io.Discard, out)
		c.Wait()
		if code := c.ProcessState.ExitCode(); code != exit.Failure || !strings.Contains(errs.String(), "while it was read") {
			t.Errorf("%s: exit code %d: %s", name, code, &errs)
		}
	}
}

// TestReadOnly writes to a read-only folder as an unprivileged user.
func TestReadOnly(t *testing.T) {
	dir := t.TempDir()
	for d := dir; d != "/" && d != os.TempDir(); d = filepath.Dir(d) { // readable for other users
		if err := os.Chmod(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	// Other users cannot reach the program that go test built.
	program, err := os.ReadFile(command(t))
	if err != nil {
		t.Fatal(err)
	}
	luksimg := filepath.Join(dir, "luksimg")
	if err := os.WriteFile(luksimg, program, 0o755); err != nil {
		t.Fatal(err)
	}
	noise(t, filepath.Join(dir, "disk"), 1<<20)
	must(t, luksimg, "keygen", filepath.Join(dir, "key"))
	os.Chmod(filepath.Join(dir, "key"), 0o644)
	os.Chmod(filepath.Join(dir, "disk"), 0o644)
	os.Chmod(dir, 0o555)
	c := exec.Command(luksimg, "encrypt", "--key-file", "key", "--format", "luks1", "disk", "x")
	c.Dir = dir
	if os.Geteuid() == 0 {
		c.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	}
	out, err := c.CombinedOutput()
	os.Chmod(dir, 0o755)
	if errors.Is(err, os.ErrPermission) && len(out) == 0 {
		skip(t, "another user cannot run the test", err)
	}
	if c.ProcessState.ExitCode() != exit.Failure || !strings.Contains(string(out), "permission denied\nluksimg: hint: write to a folder where you can create files") {
		t.Errorf("%v: %s", err, out)
	}
	if got := names(t, dir); !slices.Equal(got, []string{"disk", "key", "luksimg"}) {
		t.Errorf("files: %q", got)
	}
}

// TestTries types wrong passphrases for existing images. There are three tries.
func TestTries(t *testing.T) {
	luksimg, dir := command(t), t.TempDir()
	const right, again = "0123456789abcdefghijklmnopqrstuv", "No key available with this passphrase."
	disk := filepath.Join(dir, "disk")
	noise(t, disk, 1<<20)
	if err := os.WriteFile(filepath.Join(dir, "key"), []byte(right), 0o600); err != nil {
		t.Fatal(err)
	}
	encrypted := map[string][]byte{}
	for _, format := range []string{"luks1", "qcow2", "vhd"} {
		name := filepath.Join(dir, format)
		args := []string{"encrypt", "-q", "--key-file", filepath.Join(dir, "key"), "--format", format}
		if format != "vhd" {
			args = append(args, "--pbkdf-force-iterations", "1000")
		}
		must(t, luksimg, append(args, disk, name)...)
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		encrypted[format] = b
	}
	fast := []string{"--pbkdf", "pbkdf2", "--pbkdf-force-iterations", "1000"}
	newKey := append([]string{"--new-key-file", "key"}, fast...)
	for _, verb := range [][]string{
		{"decrypt", "--force", "luks1", "out"},
		{"decrypt", "--force", "qcow2", "out"},
		{"decrypt", "--force", "vhd", "out"},
		{"decrypt", "--force", "--key-slot", "0", "luks1", "out"},
		append([]string{"key", "add", "luks1"}, newKey...),
		append([]string{"key", "change", "luks1"}, newKey...),
		append([]string{"key", "convert", "luks1"}, fast...),
		{"key", "remove", "--force", "luks1"},
		{"key", "test", "luks1"},
		append([]string{"reencrypt", "--force", "luks1", "out"}, fast...),
		{"verify", "disk", "luks1"},
	} {
		for _, good := range []bool{true, false} {
			for name, b := range encrypted {
				if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			s := start(t, dir, luksimg, verb...)
			for n := range 3 {
				s.expectTimes("Passphrase for ", n+1)
				if n == 2 && good {
					s.enter(right + "\n")
				} else {
					s.enter("wrong" + right[5:] + "\n")
				}
			}
			want := exit.WrongKey
			if good {
				want = 0
			}
			code, text := s.code(), s.text()
			if code != want || strings.Count(text, again) != 2 || strings.Count(text, "Passphrase for ") != 3 {
				t.Errorf("%q, right at last %v: exit code %d:\n%s", verb, good, code, text)
			}
			// The hint is for a passphrase that was typed, not for the bytes of a key file.
			if !good && !slices.Contains(verb, "vhd") && (!strings.Contains(text, "hint: check the keyboard layout and Caps Lock;") || strings.Contains(text, "every byte")) {
				t.Errorf("%q: another hint:\n%s", verb, text)
			}
		}
	}
	// A key file is tried only once.
	if err := os.WriteFile(filepath.Join(dir, "bad"), []byte("wrong"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := start(t, dir, luksimg, "key", "test", "--key-file", "bad", "luks1")
	if code := s.code(); code != exit.WrongKey || strings.Contains(s.text(), again) {
		t.Errorf("key file: exit code %d:\n%s", code, s.text())
	}
}
