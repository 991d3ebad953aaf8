package prose

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// pages returns the Markdown files for users, by name. docs/cli has the help of each verb.
func pages(t *testing.T) map[string]string {
	t.Helper()
	all := make(map[string]string)
	for _, pattern := range []string{"README.md", "CONTRIBUTING.md", "SECURITY.md", "docs/*.md", "docs/cli/*.md"} {
		names, err := filepath.Glob(filepath.Join("../..", pattern))
		if err != nil || len(names) == 0 {
			t.Fatalf("%s: no files, %v", pattern, err)
		}
		for _, name := range names {
			text, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			all[strings.TrimPrefix(filepath.ToSlash(name), "../../")] = string(text)
		}
	}
	return all
}

// TestAvoid searches all pages except docs/style.md for the patterns in Avoid.
func TestAvoid(t *testing.T) {
	for name, text := range pages(t) {
		if name == "docs/style.md" {
			continue
		}
		for _, s := range Sentences(text) {
			for pattern, instead := range Avoid {
				if pattern.MatchString(s) {
					t.Errorf("%s: %q in %q: %s", name, pattern.FindString(s), s, instead)
				}
			}
		}
	}
}

// TestStyleTable checks that no page contains a phrase from the left column of the table in
// docs/style.md.
func TestStyleTable(t *testing.T) {
	_, table, ok := strings.Cut(pages(t)["docs/style.md"], "| instead of | write |\n| --- | --- |\n")
	if !ok {
		t.Fatal("docs/style.md has no table")
	}
	rows := 0
	for line := range strings.Lines(table) {
		cells := strings.Split(line, " | ")
		if len(cells) != 2 {
			break
		}
		rows++
		bad := strings.TrimPrefix(cells[0], "| ")
		for name, text := range pages(t) {
			if name != "docs/style.md" && strings.Contains(text, bad) {
				t.Errorf("%s contains %q", name, bad)
			}
		}
	}
	if rows < 10 {
		t.Errorf("the table has %d rows, want at least 10", rows)
	}
}

// TestReadme checks that the README is short.
func TestReadme(t *testing.T) {
	text := pages(t)["README.md"]
	if n := strings.Count(text, "\n"); n > 150 {
		t.Errorf("the README has %d lines", n)
	}
	long := slices.DeleteFunc(Sentences(text), func(s string) bool { return Words(s) < LongWords })
	if len(long) > 3 {
		t.Errorf("%d long sentences: %q", len(long), long)
	}
}

// TestGuides checks that at most one of 15 sentences of each page is long.
func TestGuides(t *testing.T) {
	for name, text := range pages(t) {
		if strings.HasPrefix(name, "docs/cli/") {
			continue
		}
		sentences := Sentences(text)
		long := slices.DeleteFunc(slices.Clone(sentences), func(s string) bool { return Words(s) < LongWords })
		if len(sentences) == 0 || len(long)*15 > len(sentences) {
			t.Errorf("%s: %d long sentences of %d: %q", name, len(long), len(sentences), long)
		}
	}
}

func TestSentences(t *testing.T) {
	text := "# Title\n\nOne `a. b` here. Two [is a link](x.md)\nand goes on: three.\n\n    code. code.\n\n- four\n- five\n\n```sh\nsix.\n```\n| t | x |\n"
	want := []string{"One CODE here", "Two is a link and goes on", "three", "four", "five"}
	if got := Sentences(text); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if n := Words("one two  three"); n != 3 {
		t.Errorf("%d words", n)
	}
}
