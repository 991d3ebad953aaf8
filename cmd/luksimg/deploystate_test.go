package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
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
		head + `}{}`:    "more than one object",
		strings.Replace(head, "luks", "", 1) + `}`: "its profile",
		head + done("key") + `}`:                   "its result is not there",
		head + done("encrypt") + `}`:               "its result is not there",
		head + done("import") + `}`:                "its result is not there",
		head + done("order") + `,"order":{}}`:      "its result is not there",
		head + `,"image":{"id":"x"}}`:              "of both clouds",
		head + `}`:                                 "",
	} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		s, err := loadState(name)
		if want == "" && (err != nil || s == nil) || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
	if s, err := loadState(name + "x"); s != nil || err != nil {
		t.Errorf("no file: %v, %v", s, err)
	}
}

func TestPlanDiffers(t *testing.T) {
	p := deployPlan{Source: "a", SourceTime: time.Unix(1, 0), Name: "n"}
	q := p
	q.SourceTime = q.SourceTime.UTC()
	if d := p.differs(q); d != nil || !p.sameSource(q) {
		t.Errorf("the same plan differs in %q", d)
	}
	for name, change := range map[string]func(*deployPlan){
		"time": func(q *deployPlan) { q.SourceTime = time.Unix(2, 0) },
		"size": func(q *deployPlan) { q.SourceSize++ },
		"ETag": func(q *deployPlan) { q.SourceETag = "x" },
	} {
		r := q
		if change(&r); p.sameSource(r) || p.differs(r) != nil {
			t.Errorf("%s: same source: %v, differs in %q", name, p.sameSource(r), p.differs(r))
		}
	}
	q.Name, q.BYOL, q.Source = "m", true, "b"
	if d := p.differs(q); !slices.Equal(d, []string{"source", "name", "byol"}) {
		t.Errorf("%q", d)
	}
}
