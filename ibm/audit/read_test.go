package audit_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/luksimg/luksimg/ibm/audit"
)

const oneEvent = `{"eventTime":"2019-11-03T21:40:53.94+0000","action":"kms.secrets.wrap","outcome":"success","target":{"id":"x"}}`

func TestReadSkips(t *testing.T) {
	text := oneEvent + "\n\nnot JSON\n{\"action\":\"x\"}\n" + strings.Replace(oneEvent, "2019-11-03T", "yesterday ", 1) + "\n" + strings.Repeat("x", 3000) + "\n" + oneEvent
	events, skipped, err := audit.Read(iotest.OneByteReader(strings.NewReader(text)), audit.ReadOptions{MaxRecord: 1000})
	if err != nil {
		t.Fatal(err)
	}
	if len(events) != 3 || skipped.Records != 3 || skipped.NoTime != 1 {
		t.Errorf("%d events, %+v", len(events), skipped)
	}
	if want := []int{3, 4, 6}; len(skipped.Lines) != 3 || skipped.Lines[0] != want[0] || skipped.Lines[1] != want[1] || skipped.Lines[2] != want[2] {
		t.Errorf("lines %v, want %v", skipped.Lines, want)
	}
}

func TestReadLimits(t *testing.T) {
	line := oneEvent + "\n"
	for name, c := range map[string]struct {
		text string
		o    audit.ReadOptions
		want int
	}{
		"bytes":            {strings.Repeat(line, 10), audit.ReadOptions{MaxBytes: int64(3*len(line) + 10)}, 3},
		"bytes of array":   {"[" + strings.TrimSuffix(strings.Repeat(oneEvent+",", 10), ",") + "]", audit.ReadOptions{MaxBytes: int64(3*len(line) + 10)}, 3},
		"events":           {strings.Repeat(line, 10), audit.ReadOptions{MaxEvents: 4}, 4},
		"element of array": {"[" + oneEvent + `,"` + strings.Repeat("x", 300000) + `"]`, audit.ReadOptions{MaxRecord: 1000}, 1},
		"blanks":           {strings.Repeat(" ", 100000), audit.ReadOptions{MaxBytes: 1000}, 0},
	} {
		events, _, err := audit.Read(strings.NewReader(c.text), c.o)
		if !errors.Is(err, audit.ErrTooLarge) || len(events) != c.want {
			t.Errorf("%s: %d events, %v", name, len(events), err)
		}
	}
}

func TestReadCutOff(t *testing.T) {
	for _, text := range []string{"[" + oneEvent + ",", "[" + oneEvent + "," + oneEvent[:30], "{\n" + oneEvent[1:] + "\n" + oneEvent[:40] + "\n"} {
		events, _, err := audit.Read(strings.NewReader(text), audit.ReadOptions{})
		if err == nil || len(events) != 1 {
			t.Errorf("%.60q: %d events, %v", text, len(events), err)
		}
	}
	if events, _, err := audit.Read(strings.NewReader(""), audit.ReadOptions{}); err != nil || len(events) != 0 {
		t.Error(events, err)
	}
	broken := errors.New("broken")
	if _, _, err := audit.Read(iotest.ErrReader(broken), audit.ReadOptions{}); !errors.Is(err, broken) {
		t.Error(err)
	}
}

func TestTimes(t *testing.T) {
	want := time.Date(2019, 11, 3, 21, 40, 53, 940e6, time.UTC)
	for _, text := range []string{
		`"2019-11-03T21:40:53.94+0000"`, `"2019-11-03T21:40:53.94Z"`, `"2019-11-03T22:40:53.940+01:00"`, `"2019-11-03T22:40:53.94+01"`,
		`"2019-11-03T21:40:53.94"`, `"2019-11-03 21:40:53.94 +0000 UTC"`, `"2019-11-03 21:40:53.94"`, `1572817253940`, `"1572817253940"`, `1572817253940000`, `1572817253940000000`,
	} {
		var e audit.Event
		if err := json.Unmarshal([]byte(`{"action":"a","eventTime":`+text+`}`), &e); err != nil || !e.Time.Equal(want) {
			t.Errorf("%s: %v, %v", text, e.Time, err)
		}
	}
	for _, text := range []string{`"soon"`, `null`, `{}`, `-5`, `""`} {
		var e audit.Event
		if err := json.Unmarshal([]byte(`{"action":"a","eventTime":`+text+`}`), &e); err != nil || !e.Time.IsZero() {
			t.Errorf("%s: %v, %v", text, e.Time, err)
		}
	}
}

func FuzzRead(f *testing.F) {
	names, _ := filepath.Glob("testdata/*.*")
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Add([]byte(strings.Repeat("[", 5000)))
	f.Add([]byte(strings.Repeat(`{"event":`, 100) + oneEvent + strings.Repeat("}", 100)))
	f.Add([]byte(`[{"event":"[{\"log\":{}}]"},1,null]`))
	f.Fuzz(func(t *testing.T, text []byte) {
		o := audit.ReadOptions{MaxBytes: 1 << 16, MaxRecord: 1 << 14, MaxEvents: 100}
		events, _, err := audit.Read(bytes.NewReader(text), o)
		if len(events) > 100 {
			t.Fatalf("%d events", len(events))
		}
		if int64(len(text)) > o.MaxBytes && err == nil {
			t.Fatalf("%d bytes accepted", len(text))
		}
		for _, e := range events {
			if e.Action == "" {
				t.Fatal("event without an action")
			}
			line, err := json.Marshal(e)
			if err != nil {
				t.Fatal(err)
			}
			again, _, err := audit.Read(bytes.NewReader(line), audit.ReadOptions{})
			if err != nil || len(again) != 1 || again[0].Action != e.Action || again[0].OK() != e.OK() {
				t.Fatalf("%s parsed as %+v, %v", line, again, err)
			}
		}
		audit.Chain(events, audit.Query{RootKeyCRN: crn, ImageID: "x"}).Table()
	})
}
