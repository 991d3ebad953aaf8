// Package docs has no code: its tests check the links of all Markdown files of the repository.
package docs

import (
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unicode"
)

const root = ".."

var (
	code   = regexp.MustCompile("(?s)```.*?\n[ \t]*```|``.+?``|`[^`\n]*`|<!--.*?-->")
	indent = regexp.MustCompile(`(?m)^\n((?:(?:    |\t).*\n|\n)+)`) // a block of code
	link   = regexp.MustCompile(`\]\(<?([^)\s>]*)>?(?:\s+"[^"]*")?\)`)
	asHTML = regexp.MustCompile(`(?i)\b(?:src|srcset|href)="([^"]*)"`)
	names  = regexp.MustCompile("`((?:docs|benchmarks|internal)/[A-Za-z0-9_./-]+)`") // of files, in text
	ids    = regexp.MustCompile(`(?i)<[a-z0-9]+ [^>]*\b(?:id|name)="([^"]+)"`)
	head   = regexp.MustCompile(`(?m)^#{1,6}[ \t]+(.*?)[ \t]*#*[ \t]*$`)
)

// anchors returns the anchors of a page, as GitHub makes them of its headings.
func anchors(text string) map[string]bool {
	all := map[string]bool{}
	for _, m := range ids.FindAllStringSubmatch(text, -1) {
		all[m[1]] = true
	}
	// The text of a code span is a part of its heading.
	text = regexp.MustCompile("(?s)```.*?\n[ \t]*```").ReplaceAllString(text, "")
	text = indent.ReplaceAllString(text, "\n")
	for _, m := range head.FindAllStringSubmatch(text, -1) {
		title := link.ReplaceAllString(m[1], "]")
		slug := strings.Map(func(r rune) rune {
			switch {
			case r == ' ':
				return '-'
			case r == '-' || r == '_' || unicode.IsLetter(r) || unicode.IsDigit(r):
				return unicode.ToLower(r)
			}
			return -1
		}, title)
		unique := slug
		for i := 1; all[unique]; i++ {
			unique = fmt.Sprintf("%s-%d", slug, i)
		}
		all[unique] = true
	}
	return all
}

// targets returns what a page links to.
func targets(text string) []string {
	var all []string
	prose := code.ReplaceAllString(indent.ReplaceAllString(text, "\n"), "")
	for _, re := range []*regexp.Regexp{link, asHTML} {
		for _, m := range re.FindAllStringSubmatch(prose, -1) {
			all = append(all, m[1])
		}
	}
	return all
}

// A check is one run over the pages below a folder.
type check struct {
	root     string
	problems []string
}

func (c *check) problem(format string, args ...any) {
	c.problems = append(c.problems, fmt.Sprintf(format, args...))
}

// page checks the links of a page.
func (c *check) page(name string) error {
	b, err := os.ReadFile(filepath.Join(c.root, name))
	if err != nil {
		return err
	}
	for _, to := range targets(string(b)) {
		if err := c.target(name, to); err != nil {
			return err
		}
	}
	for _, m := range names.FindAllStringSubmatch(string(b), -1) {
		if _, err := os.Stat(filepath.Join(c.root, m[1])); err != nil {
			c.problem("%s names %s, which is not there", name, m[1])
		}
	}
	return nil
}

// target checks a link on a page.
func (c *check) target(page, to string) error {
	u, err := url.Parse(to)
	switch {
	case err != nil || to == "":
		c.problem("%s has a link that is none: %q", page, to)
		return nil
	case u.Scheme == "https" || u.Scheme == "mailto":
		return nil
	case u.Scheme != "" || u.Host != "" || strings.HasPrefix(u.Path, "/"):
		c.problem("%s links to %s: want https, or a file of the repository", page, to)
		return nil
	}
	file := page
	if u.Path != "" {
		file = filepath.Join(filepath.Dir(page), u.Path)
	}
	if !filepath.IsLocal(file) {
		c.problem("%s links out of the repository: %s", page, to)
		return nil
	}
	b, err := os.ReadFile(filepath.Join(c.root, file))
	fi, statErr := os.Stat(filepath.Join(c.root, file))
	switch {
	case errors.Is(statErr, fs.ErrNotExist):
		c.problem("%s links to %s, which is not there", page, to)
	case statErr != nil:
		return statErr
	case u.Fragment == "" || fi.IsDir():
	case err != nil:
		return err
	case filepath.Ext(file) == ".md" && !anchors(string(b))[u.Fragment]:
		c.problem("%s links to %s: there is no such heading", page, to)
	}
	return nil
}

// pages lists all Markdown files below a folder, but for those of other projects.
func pages(t *testing.T, root string) []string {
	t.Helper()
	var all []string
	err := filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if base := d.Name(); d.IsDir() && name != root && (strings.HasPrefix(base, ".") || base == "site" || base == "bin" || base == "node_modules") {
			return fs.SkipDir
		}
		if filepath.Ext(name) == ".md" {
			name, err = filepath.Rel(root, name)
			all = append(all, name)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// TestLinks: whatever a page links to in the repository is there, the heading too.
func TestLinks(t *testing.T) {
	c := check{root: root}
	all := pages(t, root)
	if len(all) < 60 {
		t.Fatalf("only %d pages", len(all))
	}
	for _, name := range all {
		if err := c.page(name); err != nil {
			t.Error(err)
		}
	}
	for _, p := range c.problems {
		t.Error(p)
	}
}

// TestFinds: the check finds what it is there to find.
func TestFinds(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"a.md": "# One `--two` (three)\n\n# Same\n\n# Same\n\n[good](b/c.md#deep_er-down) [self](#one---two-three) [second](#same-1) <a id=\"x\"></a>[id](#x) " +
			"`[code](no.md)` [web](https://example.com/a)\n\n    [block](no.md)\n\n```\n# No heading\n[fenced](no.md)\n```\n",
		"b/c.md":  "## Deep_er, down\n[up](../a.md) ![picture](p.svg)\n",
		"b/p.svg": "<svg/>",
		"bad.md":  "[1](no.md)\n[2](a.md#no-heading)\n[3](../out.md)\n[4](http://example.com)\n[5](/etc/passwd)\n<img src=\"no.png\">\n[6](#four)\nsee `docs/no.md`\n[7](a.md#same-2)\n",
	} {
		if err := os.MkdirAll(filepath.Join(dir, filepath.Dir(name)), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	c := check{root: dir}
	for _, name := range []string{"a.md", "b/c.md"} {
		if err := c.page(name); err != nil {
			t.Fatal(err)
		}
	}
	if len(c.problems) > 0 {
		t.Errorf("good links: %q", c.problems)
	}
	c.problems = nil
	if err := c.page("bad.md"); err != nil {
		t.Fatal(err)
	}
	if len(c.problems) != 9 {
		t.Errorf("%d problems, want 9: %q", len(c.problems), c.problems)
	}
}
