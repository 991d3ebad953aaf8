package deploy

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/luksimg/luksimg"
	"github.com/luksimg/luksimg/ibm/cos"
	"github.com/luksimg/luksimg/internal/faultfs"
	"github.com/luksimg/luksimg/internal/output"
)

func TestStateMalformed(t *testing.T) {
	const head = `{"version":1,"id":"0bb9c3a4-7c1f-4ba5-9d0e-2f7a2b4b0a01","image_uuid":"0bb9c3a4-7c1f-4ba5-9d0e-2f7a2b4b0a02","plan":{"profile":"classic-luks"}`
	done := func(step string) string {
		return `,"steps":[{"step":"` + step + `","begun":"2026-01-02T03:04:05Z","done":"2026-01-02T03:04:06Z"}]`
	}
	name := filepath.Join(t.TempDir(), "state")
	for text, want := range map[string]string{
		"":              "EOF",
		"no state":      "invalid character",
		`{"version":2}`: "version 2",
		`{"version":1}`: "no id",
		head + `}{}`:    "more than one JSON object",
		strings.Replace(head, "luks", "", 1) + `}`: "its profile",
		head + done("key") + `}`:                   "the result of a completed step is missing",
		head + done("encrypt") + `}`:               "the result of a completed step is missing",
		head + done("import") + `}`:                "the result of a completed step is missing",
		head + done("order") + `,"order":{}}`:      "the result of a completed step is missing",
		head + `,"image":{"id":"x"}}`:              "of both clouds",
		head + `}`:                                 "",
	} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		s, err := loadState(cos.StateFile(name))
		if want == "" && (err != nil || s == nil) || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
	if s, err := loadState(cos.StateFile(name + "x")); s != nil || err != nil {
		t.Errorf("no file: %v, %v", s, err)
	}
}

func TestPlanDiffers(t *testing.T) {
	p := Plan{Source: "a", SourceTime: time.Unix(1, 0), Name: "n"}
	q := p
	q.SourceTime = q.SourceTime.UTC()
	if d := p.differs(q); d != nil || !p.sameSource(q) {
		t.Errorf("the same plan differs in %q", d)
	}
	for name, change := range map[string]func(*Plan){
		"time": func(q *Plan) { q.SourceTime = time.Unix(2, 0) },
		"size": func(q *Plan) { q.SourceSize++ },
		"ETag": func(q *Plan) { q.SourceETag = "x" },
		"sum":  func(q *Plan) { q.SourceSum = "sha256:00" },
	} {
		r := q
		if change(&r); p.sameSource(r) || p.differs(r) != nil {
			t.Errorf("%s: same source: %v, differs in %q", name, p.sameSource(r), p.differs(r))
		}
	}
	r := q
	if r.SourceSum = "sha256:00"; !r.sameSource(p) {
		t.Error("sameSource returned false for a plan without a checksum")
	}
	q.Name, q.BYOL, q.Source = "m", true, "b"
	if d := p.differs(q); !slices.Equal(d, []string{"source", "name", "byol"}) {
		t.Errorf("%q", d)
	}
}

// TestStatePowerLoss simulates a power loss during each save of the state. The file must hold
// the old or the new state, and be valid.
func TestStatePowerLoss(t *testing.T) {
	d := faultfs.New()
	defer output.Use(d)()
	s := newState(cos.StateFile("dir/state"), "luksimg test", Plan{Profile: string(luksimg.ClassicLUKS)})
	steps := []func() error{
		func() error { _, err := s.begin(StepCheck); return err },
		func() error { return s.end(StepCheck) },
		func() error { _, err := s.begin(StepKey); return err },
		func() error { s.WDEK = "wrapped"; return s.save() },
		func() error { return s.end(StepKey) },
		func() error { return s.store.Remove() },
	}
	var before []byte
	for i, step := range steps {
		d.Settle()
		if err := step(); err != nil {
			t.Fatal(err)
		}
		after := d.ReadFile("dir/state")
		if i < len(steps)-1 && bytes.Equal(before, after) {
			t.Fatalf("step %d does not save", i)
		}
		for moment, crashed := range d.Crashes(3) {
			b := crashed.ReadFile("dir/state")
			if !bytes.Equal(b, after) && (moment.End || !bytes.Equal(b, before)) {
				t.Errorf("step %d, %v: the state is %q", i, moment, b)
			}
			restore := output.Use(crashed)
			if _, err := loadState(cos.StateFile("dir/state")); err != nil {
				t.Errorf("step %d, %v: %v", i, moment, err)
			}
			restore()
		}
		before = after
	}
	for f := range faultfs.Failures(faultfs.New, func(d *faultfs.FS) error {
		defer output.Use(d)()
		return s.save()
	}, faultfs.Write, faultfs.Sync, faultfs.Rename, faultfs.SyncDir) {
		if f.Err == nil || len(f.FS.Names()) != 0 {
			t.Errorf("%s: %v, %q", f.Call.Op, f.Err, f.FS.Names())
		}
	}
}
