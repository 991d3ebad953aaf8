package main

import (
	"encoding/xml"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestRecorded checks that the recording in docs matches the quick start of the README.
func TestRecorded(t *testing.T) {
	readme, err := os.ReadFile("../../../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, start, ok := strings.Cut(string(readme), "\n## Quick start\n")
	if !ok {
		t.Fatal("the README has no quick start")
	}
	svg, err := os.ReadFile("../../../../docs/pictures/quick-start.svg")
	if err != nil {
		t.Fatal(err)
	}
	var shown struct {
		Steps []struct {
			Text []string `xml:"text"`
		} `xml:"g"`
	}
	if err := xml.Unmarshal(svg, &shown); err != nil {
		t.Fatal(err)
	}
	var all strings.Builder
	for _, s := range shown.Steps {
		all.WriteString(strings.Join(s.Text, ""))
	}
	commands := 0
	for l := range strings.Lines(start) {
		l, code := strings.CutPrefix(strings.TrimRight(l, "\n"), "    ")
		if !code {
			if commands > 0 {
				break
			}
			continue
		}
		commands++
		line, _, _ := strings.Cut(l, " #")
		line = strings.TrimRight(line, " ")
		if !strings.Contains(all.String(), "$ "+line) {
			t.Errorf("%s is missing from the recording: run scripts/recording.sh", line)
		}
	}
	if commands < 3 || len(shown.Steps) != 2*commands {
		t.Errorf("the quick start has %d commands, but the recording shows %d steps", commands, len(shown.Steps))
	}
	for _, want := range []string{"32 random bytes", "byte for byte"} {
		if !strings.Contains(all.String(), want) {
			t.Errorf("the recording does not show %q", want)
		}
	}
}

func TestRun(t *testing.T) {
	out := filepath.Join(t.TempDir(), "a.svg")
	if err := run([]string{out}, strings.NewReader("# why\n$ echo a\na\nb\n$ true\n")); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(out)
	if err != nil || !strings.Contains(string(b), ">$ echo a<") || !strings.Contains(string(b), "># why<") {
		t.Errorf("%s, %v", b, err)
	}
	for _, bad := range []string{"", "output\n$ true\n", "# only a comment\n"} {
		if err := run([]string{out}, strings.NewReader(bad)); err == nil {
			t.Errorf("%q is accepted", bad)
		}
	}
}
