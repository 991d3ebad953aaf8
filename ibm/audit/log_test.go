package audit_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/luksimg/luksimg/ibm/audit"
)

func TestLogger(t *testing.T) {
	name := filepath.Join(t.TempDir(), "audit.jsonl")
	for run := range 2 {
		f, err := audit.AppendFile(name)
		if err != nil {
			t.Fatal(err)
		}
		l := audit.NewLogger(f, audit.LoggerOptions{
			Initiator: audit.Party{Name: "ci", CredentialType: "apikey"}, CorrelationID: "corr-1",
			Now: func() time.Time { return start.Add(time.Duration(run) * time.Hour) },
		})
		if err := l.Log(audit.Event{Action: "luksimg.data-key.wrap", Target: audit.Party{ID: crn}}); err != nil {
			t.Fatal(err)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(name); err != nil || runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	events, skipped, err := audit.Read(bytes.NewReader(text), audit.ReadOptions{})
	if err != nil || len(events) != 2 || skipped.Records != 0 {
		t.Fatalf("%d events, %+v, %v", len(events), skipped, err)
	}
	e := events[1]
	if e.CorrelationID != "corr-1" || e.Observer != audit.Observer || e.Outcome != audit.Success || e.Severity != "normal" || e.ID == "" ||
		!e.Time.Equal(start.Add(time.Hour)) || e.Initiator.Name != "ci" || e.Initiator.CredentialType != "apikey" || e.Target.ID != crn {
		t.Errorf("%+v", e)
	}
	if r := audit.Chain(events, query); len(r.Steps) != 2 || !r.Steps[0].Own {
		t.Errorf("%+v", r)
	}
}

func TestLoggerRedacts(t *testing.T) {
	const secret = `s3<cr>et"\key`
	var out bytes.Buffer
	l := audit.NewLogger(&out, audit.LoggerOptions{Secrets: []string{secret}})
	l.AddSecret([]byte("later"))
	err := l.Log(audit.Event{
		Action: "luksimg.image.import", Message: "used " + secret + " for it", ReasonType: "later",
		RequestData: map[string]any{
			"ibmApiKey": "hidden-1", "wrappedDek": "kept", "nested": []any{map[string]any{"plaintext": "hidden-2", "x": "a" + secret}},
			"Authorization": "hidden-3", secret: 1, "passphrase": []any{"hidden-4"},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	text := out.String()
	for _, bad := range []string{secret, "hidden", "later", "s3"} {
		if strings.Contains(text, bad) {
			t.Errorf("%q is in %s", bad, text)
		}
	}
	if !strings.Contains(text, `"wrappedDek":"kept"`) || strings.Count(text, "\n") != 1 {
		t.Error(text)
	}
}

// lineWriter fails if a line arrives in several writes.
type lineWriter struct {
	t *testing.T
	n int
}

func (w *lineWriter) Write(p []byte) (int, error) {
	if bytes.Count(p, []byte("\n")) != 1 || p[len(p)-1] != '\n' {
		w.t.Errorf("%q", p)
	}
	w.n++
	return len(p), nil
}

func TestLoggerConcurrent(t *testing.T) {
	w := &lineWriter{t: t}
	l := audit.NewLogger(w, audit.LoggerOptions{})
	if l.CorrelationID() == "" {
		t.Error("no correlation ID")
	}
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			if err := l.Log(audit.Event{Action: "luksimg.image.import"}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if w.n != 20 {
		t.Errorf("%d lines", w.n)
	}
}

type brokenWriter struct{}

func (brokenWriter) Write([]byte) (int, error) { return 0, os.ErrClosed }

func TestLoggerErrors(t *testing.T) {
	l := audit.NewLogger(brokenWriter{}, audit.LoggerOptions{})
	if err := l.Log(audit.Event{Action: "a"}); !errors.Is(err, os.ErrClosed) {
		t.Error(err)
	}
	if err := l.Log(audit.Event{}); err == nil {
		t.Error("event without an action accepted")
	}
	if _, err := audit.AppendFile(t.TempDir()); err == nil {
		t.Error("folder opened")
	}
}
