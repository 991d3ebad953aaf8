package main

import (
	"bytes"
	"errors"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/luksimg/luksimg/cmd/luksimg/internal/exit"
)

// command returns the path of luksimg: this test program under another name.
func command(t *testing.T) string {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(t.TempDir(), "luksimg")
	if err := os.Symlink(self, name); err != nil {
		t.Fatal(err)
	}
	return name
}

func must(t *testing.T, name string, args ...string) {
	t.Helper()
	if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

// TestKill kills the command at random moments. Afterwards there is a complete output or none, and the next run
// removes temporary files.
func TestKill(t *testing.T) {
	luksimg, dir := command(t), t.TempDir()
	src, dst, key := filepath.Join(dir, "disk"), filepath.Join(dir, "disk.luks"), filepath.Join(dir, "key")
	noise(t, src, 48<<20)
	before, err := os.ReadFile(src)
	if err != nil {
		t.Fatal(err)
	}
	args := []string{"encrypt", "-q", "--format", "luks1", "--generate-key", key, src, dst}
	start := time.Now()
	must(t, luksimg, args...)
	whole := time.Since(start)

	killed, finished := 0, 0
	for range 50 {
		os.Remove(dst)
		os.Remove(key)
		c := exec.Command(luksimg, args...)
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Duration(rand.Int64N(int64(whole*3/2) + 1)))
		c.Process.Kill()
		if c.Wait() != nil {
			killed++
		}
		_, err := os.Stat(dst)
		switch {
		case err == nil:
			finished++
			must(t, luksimg, "verify", "-q", "--key-file", key, src, dst)
		case !errors.Is(err, fs.ErrNotExist):
			t.Fatal(err)
		}
	}
	t.Logf("killed %d times of 50; %d complete outputs", killed, finished)
	os.Remove(dst)
	os.Remove(key)
	must(t, luksimg, args...)
	must(t, luksimg, "verify", "-q", "--key-file", key, src, dst)
	if got := names(t, dir); !slices.Equal(got, []string{"disk", "disk.luks", "key"}) {
		t.Errorf("files after the next run: %q", got)
	}
	after, err := os.ReadFile(src)
	if err != nil || !bytes.Equal(before, after) {
		t.Errorf("the source has changed: %v", err)
	}
}

// TestInterrupt sends the signals of an interrupt and a shutdown. The exit code must be 130, and no files may remain.
func TestInterrupt(t *testing.T) {
	luksimg, dir := command(t), t.TempDir()
	key := filepath.Join(dir, "key")
	must(t, luksimg, "keygen", key)
	disk := filepath.Join(t.TempDir(), "disk")
	noise(t, disk, 20480)
	for _, sig := range []os.Signal{os.Interrupt, syscall.SIGTERM, syscall.SIGHUP} {
		// If this process ignores a signal, as under nohup, the command would ignore it too.
		signal.Notify(make(chan os.Signal, 1), sig)
		for name, args := range map[string][]string{
			// Standard input stays open without data, so the job waits for it.
			"reading":  {"encrypt", "--format", "luks1", "--key-file", key, "-", filepath.Join(dir, "x")},
			"deriving": {"encrypt", "--format", "luks1", "--pbkdf-force-iterations", "4294967295", "--key-file", key, disk, filepath.Join(dir, "x")},
		} {
			c := exec.Command(luksimg, args...)
			in, err := c.StdinPipe()
			if err != nil {
				t.Fatal(err)
			}
			var out bytes.Buffer
			errPipe, err := c.StderrPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := c.Start(); err != nil {
				t.Fatal(err)
			}
			// The message about the key appears before the job starts.
			if name == "reading" {
				if _, err := in.Write(make([]byte, 64<<10)); err != nil {
					t.Fatal(err)
				}
			}
			b := make([]byte, 1)
			for !strings.Contains(out.String(), "key: 44 bytes") {
				if _, err := errPipe.Read(b); err != nil {
					t.Fatalf("%s: %v: %s", name, err, &out)
				}
				out.Write(b)
			}
			c.Process.Signal(sig)
			out.ReadFrom(errPipe)
			c.Wait()
			if code := c.ProcessState.ExitCode(); code != exit.Cancelled {
				t.Errorf("%s, %v: exit code %d\n%s", name, sig, code, &out)
			}
			if !strings.Contains(out.String(), "luksimg: error: cancelled\n") {
				t.Errorf("%s, %v: %s", name, sig, &out)
			}
			if got := names(t, dir); !slices.Equal(got, []string{"key"}) {
				t.Errorf("%s, %v: files %q", name, sig, got)
			}
		}
	}
}

// onSmallDisk runs a script in a folder, in a new mount namespace with an 8 MiB filesystem at mnt. $0 is the command.
func onSmallDisk(t *testing.T, luksimg, dir, script string) string {
	t.Helper()
	if err := os.Mkdir(filepath.Join(dir, "mnt"), 0o700); err != nil {
		t.Fatal(err)
	}
	flags := []string{"-rm"}
	if os.Geteuid() == 0 {
		flags = []string{"-m"}
	}
	c := exec.Command("unshare", append(flags, "sh", "-c", "mount -t tmpfs -o size=8m tmpfs mnt || exit 99\n"+script, luksimg)...)
	c.Dir = dir
	out, err := c.CombinedOutput()
	if e := new(exec.ExitError); errors.As(err, &e) && (e.ExitCode() == 99 || e.ExitCode() == 1) || errors.Is(err, exec.ErrNotFound) {
		if os.Getenv("CI") == "true" {
			t.Fatalf("cannot mount a small filesystem: %v: %s", err, out)
		}
		t.Skipf("cannot mount a small filesystem: %v", err)
	}
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return string(out)
}

// TestFullDisk writes to a small filesystem.
func TestFullDisk(t *testing.T) {
	luksimg, dir := command(t), t.TempDir()
	noise(t, filepath.Join(dir, "disk"), 12<<20)
	must(t, luksimg, "keygen", filepath.Join(dir, "key"))
	text := onSmallDisk(t, luksimg, dir, `
"$0" encrypt --key-file key --format luks1 disk mnt/disk.luks
echo "code $?"
"$0" encrypt --generate-key mnt/dek --format luks1 disk mnt/disk.luks
echo "code $?"
head -c 1m /dev/zero | tee mnt/fits >small
"$0" encrypt --key-file key --format luks1 small mnt/small.luks
echo "code $?"
ls -A mnt`)
	if n := strings.Count(text, "luksimg: error: write mnt/"); n != 2 || strings.Count(text, "no space left on device\nluksimg: hint: luksimg writes the whole output") != 2 {
		t.Errorf("%d errors about the full disk, want 2", n)
	}
	if strings.Count(text, "code 1\n") != 2 || !strings.Contains(text, "code 0\nfits\nsmall.luks\n") {
		t.Errorf("exit codes or files are wrong")
	}
	if t.Failed() {
		t.Log(text)
	}
}

// TestFullOutput writes the image to a full device, from a file and from a pipe. The generated key file must not
// remain.
func TestFullOutput(t *testing.T) {
	luksimg, dir := command(t), t.TempDir()
	noise(t, filepath.Join(dir, "disk"), 20480)
	for _, src := range []string{"disk", "-"} {
		for _, format := range []string{"luks1", "luks2"} {
			full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
			if err != nil {
				t.Skip(err)
			}
			disk, err := os.Open(filepath.Join(dir, "disk"))
			if err != nil {
				t.Fatal(err)
			}
			var errs bytes.Buffer
			c := exec.Command(luksimg, "encrypt", "--source-format", "raw", "--format", format, "--generate-key", "key", src, "-")
			c.Dir, c.Stdin, c.Stdout, c.Stderr = dir, disk, full, &errs
			c.Run()
			full.Close()
			disk.Close()
			if code := c.ProcessState.ExitCode(); code != exit.Failure || !strings.Contains(errs.String(), "no space left on device") {
				t.Errorf("%s from %s: exit code %d\n%s", format, src, code, &errs)
			}
			if got := names(t, dir); !slices.Equal(got, []string{"disk"}) {
				t.Errorf("%s from %s: files %q", format, src, got)
			}
		}
	}
}
