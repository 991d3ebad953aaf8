package cos_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/luksimg/luksimg/ibm/cos"
	"github.com/luksimg/luksimg/internal/rest"
	"github.com/luksimg/luksimg/internal/rest/resttest"
)

// TestMain runs the helper of the tests that kill a process.
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

// uploadHelper uploads a file, and prints a line for each progress call.
func uploadHelper() error {
	o := cos.Options{Endpoint: os.Getenv("COS_TEST_UPLOAD"), HMAC: hmacKey(), Clock: resttest.Still(time.Now())}
	if name := os.Getenv("COS_TEST_BEARER"); name != "" {
		o.HMAC, o.Tokens = nil, &helperTokens{name: name}
	}
	c, err := cos.New(o)
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
	if n := os.Getenv("COS_TEST_STREAM"); n != "" {
		if _, err := c.UploadStream(ctx, object("killed"), f, cos.StreamOptions{}); err != nil {
			return err
		}
		return printPeak()
	}
	if os.Getenv("COS_TEST_STATE") == "" {
		if _, err := c.Upload(ctx, object("killed"), f, fi.Size(), cos.UploadOptions{}); err != nil {
			return err
		}
		return printPeak()
	}
	fmt.Println("begins")
	_, err = c.Upload(ctx, object("killed"), f, fi.Size(), cos.UploadOptions{
		PartSize: 5 * mib, Jobs: 2, State: cos.StateFile(os.Getenv("COS_TEST_STATE")), Progress: func(n int64) { fmt.Println(n) }})
	return err
}

// helperTokens issues tokens that a service accepts until it lets them expire.
type helperTokens struct {
	name string
	mu   sync.Mutex
	n    int
}

func (h *helperTokens) Token(context.Context) (rest.Token, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return rest.NewToken(h.token(), time.Time{}), nil
}

func (h *helperTokens) token() string { return fmt.Sprintf("helper-%s-%d", h.name, h.n) }

func (h *helperTokens) Drop(token rest.Token) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if token.Header() == "Bearer "+h.token() {
		h.n++
	}
}

// printPeak prints the peak memory of the process, if the system reports it.
func printPeak() error {
	b, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return err
	}
	_, tail, _ := strings.Cut(string(b), "VmHWM:")
	var kib int
	if _, err := fmt.Sscanf(tail, "%d", &kib); err != nil {
		return err
	}
	fmt.Println(kib)
	return nil
}

// TestMemory uploads 200 MiB, as a file and as a stream, in a separate process.
func TestMemory(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("peak memory is available on Linux only")
	}
	s := newService(t)
	f, err := os.Create(filepath.Join(t.TempDir(), "source"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := f.Truncate(200 * mib); err != nil {
		t.Fatal(err)
	}
	for stream, most := range map[string]int{"": 32 << 10, "yes": 64 << 10} {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), "COS_TEST_UPLOAD="+s.URL, "COS_TEST_FILE="+f.Name(), "COS_TEST_STATE=", "COS_TEST_STREAM="+stream)
		cmd.Stderr = os.Stderr
		out, err := cmd.Output()
		if err != nil {
			t.Fatal(err)
		}
		var kib int
		if _, err := fmt.Sscan(string(out), &kib); err != nil || kib < 1000 || kib > most && !raceEnabled {
			t.Errorf("stream %q: peak %d KiB, want at most %d: %v", stream, kib, most, err)
		}
		t.Logf("stream %q: %d KiB", stream, kib)
	}
}

// killAndResume uploads b ten times, killed each time after a random number of lines, and then completely. With
// bearer, the tokens of run i are helper-i-0, helper-i-1 and so on; the last i is 10.
func killAndResume(t *testing.T, endpoint string, bearer bool, c *cos.Client, b []byte, stored func() []byte) {
	t.Helper()
	dir := t.TempDir()
	name, state := filepath.Join(dir, "source"), filepath.Join(dir, "state.json")
	if err := os.WriteFile(name, b, 0o600); err != nil {
		t.Fatal(err)
	}
	helper := func(run int) (*exec.Cmd, io.Reader) {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), "COS_TEST_UPLOAD="+endpoint, "COS_TEST_FILE="+name, "COS_TEST_STATE="+state)
		if bearer {
			cmd.Env = append(cmd.Env, fmt.Sprint("COS_TEST_BEARER=", run))
		}
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
		cmd, out := helper(i)
		// Kill after this many lines: few at first, to hit the start of the upload.
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
		t.Errorf("killed only %d times", killed)
	}
	cmd, out := helper(10)
	io.Copy(io.Discard, out)
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(stored(), b) {
		t.Error("the object differs from the source")
	}
	clean(t, c)
	if left, _ := filepath.Glob(state + "*"); len(left) > 0 {
		t.Errorf("unfinished uploads: %v", left)
	}
}

// TestKill kills an upload to the sandbox with SIGKILL, ten times. It repeats this with a faulty
// service.
func TestKill(t *testing.T) {
	for name, fault := range map[string]func(s *service) func(http.ResponseWriter, *http.Request) bool{
		"sound":        nil,
		"500":          func(*service) func(http.ResponseWriter, *http.Request) bool { return badly(7, answer500) },
		"dropped":      func(*service) func(http.ResponseWriter, *http.Request) bool { return badly(7, drop) },
		"answers lost": func(s *service) func(http.ResponseWriter, *http.Request) bool { return badly(5, s.dropAnswer) },
		// Whatever happens to the earlier runs, the first token of the last run is valid for one request only.
		"expiry": func(s *service) func(http.ResponseWriter, *http.Request) bool {
			often, once := badly(5, s.expire), badly(2, s.expire)
			return func(w http.ResponseWriter, r *http.Request) bool {
				if r.Header.Get("Authorization") == "Bearer helper-10-0" {
					return once(w, r)
				}
				return often(w, r)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newService(t)
			c := client(t, cos.Options{Endpoint: s.URL, HMAC: hmacKey()})
			if fault != nil {
				s.breaks(fault(s))
			}
			killAndResume(t, s.URL, fault != nil, c, noise(41*mib+99, 40), func() []byte { s.breaks(nil); return s.stored(t, "killed") })
			if name == "expiry" {
				s.mu.Lock()
				defer s.mu.Unlock()
				if valid, ok := s.tokens["helper-10-0"]; valid || !ok {
					t.Error("no token of the last run expired")
				}
				if _, ok := s.tokens["helper-10-1"]; !ok {
					t.Error("the last run had only one token")
				}
			}
		})
	}
}
