package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/luksimg/luksimg/ibm/sandbox"
)

// run runs the program until it prints its settings, passes them to f, and stops it.
func run(t *testing.T, f func(out []byte), args ...string) (stderr string) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	r, w := io.Pipe()
	var errs bytes.Buffer
	done := make(chan error, 1)
	go func() {
		c := command(w, &errs)
		c.SetArgs(args)
		err := c.ExecuteContext(ctx)
		w.CloseWithError(err)
		done <- err
	}()
	// The program writes all settings at once.
	b := make([]byte, 1<<16)
	n, err := r.Read(b)
	if err != nil {
		t.Fatal(err)
	}
	f(b[:n])
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	return errs.String()
}

// TestLines parses the settings like a shell, and queries the events.
func TestLines(t *testing.T) {
	stderr := run(t, func(out []byte) {
		line := regexp.MustCompile(`^export [A-Z_]+='[^' ]+'$`)
		env := map[string]string{}
		for l := range strings.Lines(string(out)) {
			l = strings.TrimSuffix(l, "\n")
			if !line.MatchString(l) {
				t.Errorf("%q", l)
				continue
			}
			name, value, _ := strings.Cut(strings.TrimPrefix(l, "export "), "=")
			env[name] = strings.Trim(value, "'")
		}
		if env["LUKSIMG_BUCKET"] != "luksimg-images" || env["IBMCLOUD_API_KEY"] == "" {
			t.Errorf("%s", out)
		}
		answer, err := http.Get(env["LUKSIMG_SANDBOX_URL"] + "/events")
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
		if answer.StatusCode != 200 {
			t.Error(answer.Status)
		}
	}, "--ready", "-v")
	if !strings.Contains(stderr, "iam GET /_sandbox/events 200") {
		t.Errorf("told %q", stderr)
	}
}

// TestJSON starts the program twice with one folder and expects the same account.
func TestJSON(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state")
	var s [2]sandbox.Settings
	for i := range s {
		run(t, func(out []byte) {
			if err := json.Unmarshal(out, &s[i]); err != nil {
				t.Errorf("%s: %v", out, err)
			}
		}, "--dir", dir, "--json")
	}
	if s[0].APIKey == "" || s[0].APIKey != s[1].APIKey || s[0].RootKey != s[1].RootKey {
		t.Error("the API key or the root key differs after a restart")
	}
}

// TestEnv waits for the file with the settings. The program removes it at the end, unless somebody
// has changed it.
func TestEnv(t *testing.T) {
	for _, change := range []bool{false, true} {
		name := filepath.Join(t.TempDir(), "cloud.env")
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		done := make(chan error, 1)
		go func() {
			c := command(io.Discard, io.Discard)
			c.SetArgs([]string{"--env", name})
			done <- c.ExecuteContext(ctx)
		}()
		for {
			if b, err := os.ReadFile(name); err == nil && strings.Contains(string(b), "export LUKSIMG_SANDBOX_URL=") {
				break
			}
			select {
			case err := <-done:
				t.Fatal("ended early: ", err)
			case <-time.After(10 * time.Millisecond):
			}
		}
		if change {
			if err := os.WriteFile(name, []byte("# settings of another sandbox\n"), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if _, err := os.Stat(name); os.IsNotExist(err) == change {
			t.Errorf("changed %v: the file at the end: %v", change, err)
		}
	}
}

// TestUsage uses invalid arguments.
func TestUsage(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"more"}, {"--dir", file}, {"--port", "-1"}, {"--port", "65535"}, {"--bucket", "NO"}, {"--env", filepath.Join(file, "env")}} {
		c := command(io.Discard, io.Discard)
		c.SetArgs(args)
		if err := c.ExecuteContext(t.Context()); err == nil {
			t.Errorf("%q accepted", args)
		}
	}
}
