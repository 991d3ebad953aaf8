package cos_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/luksimg/luksimg/ibm/cos"
)

// TestMain makes this program the helper of the tests that kill one.
func TestMain(m *testing.M) {
	if os.Getenv("COS_TEST_UPLOAD") != "" {
		if err := uploadHelper(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// uploadHelper uploads a file, and prints a line for each piece of progress.
func uploadHelper() error {
	c, err := cos.New(cos.Options{Endpoint: os.Getenv("COS_TEST_UPLOAD"), HMAC: hmacKey()})
	if err != nil {
		return err
	}
	f, err := os.Open(os.Getenv("COS_TEST_FILE"))
	if err != nil {
		return err
	}
	defer f.Close()
	fi, err := f.Stat()
	if err != nil {
		return err
	}
	fmt.Println("begins")
	_, err = c.Upload(ctx, object("killed"), f, fi.Size(), cos.UploadOptions{
		PartSize: 5 * mib, Jobs: 2, State: cos.StateFile(os.Getenv("COS_TEST_STATE")), Progress: func(n int64) { fmt.Println(n) }})
	return err
}

// killAndResume uploads b ten times, killed each time at random, and then to the end.
func killAndResume(t *testing.T, endpoint string, c *cos.Client, b []byte, stored func() []byte) {
	t.Helper()
	dir := t.TempDir()
	name, state := filepath.Join(dir, "source"), filepath.Join(dir, "state.json")
	if err := os.WriteFile(name, b, 0o600); err != nil {
		t.Fatal(err)
	}
	helper := func() (*exec.Cmd, io.Reader) {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), "COS_TEST_UPLOAD="+endpoint, "COS_TEST_FILE="+name, "COS_TEST_STATE="+state)
		cmd.Stderr = os.Stderr
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		return cmd, out
	}
	killed := 0
	for i := range 10 {
		cmd, out := helper()
		// A life of so many lines: few at first, for the start of the upload.
		life := rand.IntN(1 + 40*i)
		lines := bufio.NewScanner(out)
		for n := 0; lines.Scan() && n < life; n++ {
		}
		cmd.Process.Kill()
		if err := cmd.Wait(); err != nil {
			killed++
		}
	}
	if killed < 5 {
		t.Errorf("killed %d times only", killed)
	}
	cmd, out := helper()
	io.Copy(io.Discard, out)
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(stored(), b) {
		t.Error("the object is not the source")
	}
	clean(t, c)
	if left, _ := filepath.Glob(state + "*"); len(left) > 0 {
		for _, l := range left {
			if l == state {
				t.Error("the state is still there")
			}
		}
	}
}

// TestKill kills an upload to the sandbox with SIGKILL, ten times.
func TestKill(t *testing.T) {
	s := newService(t)
	c := client(t, cos.Options{Endpoint: s.URL, HMAC: hmacKey()})
	killAndResume(t, s.URL, c, noise(61*mib+99, 40), func() []byte { return s.stored(t, "killed") })
}
