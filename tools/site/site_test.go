package main

import (
	"encoding/json"
	"flag"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/luksimg/luksimg/internal/browser"
)

var update = flag.Bool("update", false, "update the screenshots in docs/pictures")

const root = "../.."

// made makes the site, and returns its folder and all pages.
func made(t *testing.T) (out string, pages []string) {
	t.Helper()
	s, err := load(root)
	if err != nil {
		t.Fatal(err)
	}
	out = filepath.Join(t.TempDir(), "site")
	if err := s.write(out); err != nil {
		t.Fatal(err)
	}
	err = filepath.WalkDir(out, func(name string, _ fs.DirEntry, err error) error {
		if filepath.Ext(name) == ".html" {
			pages = append(pages, name)
		}
		return err
	})
	if err != nil || len(pages) != len(s.pages) || len(pages) < 60 {
		t.Fatalf("%d pages of %d, %v", len(pages), len(s.pages), err)
	}
	return out, pages
}

// seen is what the browser reports about a page.
type seen struct {
	Page   string
	Scroll float64  // width of the page in pixels
	Wide   []string // elements that are too wide
	IDs    []string
	Links  []string // absolute addresses
	Broken []string // images that failed to load
	Text   float64  // font size of the body in pixels
}

const look = `({
  page: document.location.href,
  scroll: document.documentElement.scrollWidth,
  wide: [...document.querySelectorAll("main *")].filter(e => e.getBoundingClientRect().right > view.innerWidth + 1 && !e.closest(".wide, pre")).map(e => e.outerHTML.slice(0, 80)),
  ids: [...document.querySelectorAll("[id]")].map(e => e.id),
  links: [...document.querySelectorAll("[href], [src]")].map(e => e.href || e.src),
  broken: [...document.images].filter(i => !i.complete || !i.naturalWidth).map(i => i.src),
  text: parseFloat(view.getComputedStyle(document.body).fontSize),
})`

// TestPages shows all pages in a browser, in the widths of a phone and a desktop. Nothing may be too
// wide, all images must load, and all links and anchors must have a target.
func TestPages(t *testing.T) {
	out, pages := made(t)
	for _, width := range []int{390, 1280} {
		var all []seen
		browser.MeasureAll(t, pages, width, look, &all)
		ids := map[string][]string{}
		for _, p := range all {
			ids[fileOf(t, p.Page)] = p.IDs
		}
		if len(ids) != len(pages) {
			t.Fatalf("%d pages were shown, want %d", len(ids), len(pages))
		}
		links := 0
		for _, p := range all {
			if int(p.Scroll) > width || len(p.Wide) > 0 || p.Text < 14 {
				t.Errorf("%s is %v pixels wide in a window of %d: %q", p.Page, p.Scroll, width, p.Wide)
			}
			if len(p.Broken) > 0 {
				t.Errorf("%s: images that failed to load: %q", p.Page, p.Broken)
			}
			if d := duplicates(p.IDs); len(d) > 0 {
				t.Errorf("%s: duplicate anchors: %q", p.Page, d)
			}
			for _, to := range p.Links {
				links++
				u, err := url.Parse(to)
				switch {
				case err != nil:
					t.Error(err)
				case u.Scheme == "https" || u.Scheme == "mailto":
				case u.Scheme != "file" || !strings.HasPrefix(u.Path, out):
					t.Errorf("%s leads out of the site: %s", p.Page, to)
				case u.Fragment != "" && !slices.Contains(ids[u.Path], u.Fragment):
					t.Errorf("%s: broken link to %s", p.Page, to)
				default:
					if fi, err := os.Stat(u.Path); err != nil || fi.IsDir() {
						t.Errorf("%s: broken link to %s", p.Page, to)
					}
				}
			}
		}
		if links < 1000 {
			t.Errorf("only %d links", links)
		}
	}
}

func fileOf(t *testing.T, address string) string {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	return u.Path
}

func duplicates(all []string) (twice []string) {
	slices.Sort(all)
	for i := 1; i < len(all); i++ {
		if all[i] == all[i-1] {
			twice = append(twice, all[i])
		}
	}
	return twice
}

// TestSearch types into the search field, also on a page in a folder.
func TestSearch(t *testing.T) {
	out, _ := made(t)
	cases := []struct{ text, want string }{
		{"recovery key", "keys.html"},
		{"chain of events", "pictures.html#the-chain-of-events"},
		{"--tang", "clevis.html"},
		{"<img src=x onerror=alert(1)> nonesuch", ""},
	}
	var texts []string
	for _, c := range cases {
		texts = append(texts, c.text)
	}
	list, err := json.Marshal(texts)
	if err != nil {
		t.Fatal(err)
	}
	var got [][]struct {
		Hits   []string
		Shown  bool
		Scroll float64
		Image  bool
	}
	pages := []string{filepath.Join(out, "index.html"), filepath.Join(out, "cli", "luksimg-encrypt.html")}
	browser.MeasureAll(t, pages, 390, `(async () => {
  const q = document.getElementById("query"), found = document.getElementById("found"), all = []
  for (const text of `+string(list)+`) {
    q.value = text
    found.replaceChildren()
    q.dispatchEvent(new view.Event("input"))
    for (let i = 0; i < 200 && !found.children.length; i++) await new Promise(done => view.setTimeout(done, 20))
    all.push({hits: [...found.querySelectorAll("a")].map(a => a.href), shown: !found.hidden, scroll: document.documentElement.scrollWidth, image: !!found.querySelector("img")})
  }
  return all
})()`, &got)
	for p, results := range got {
		for i, r := range results {
			want := cases[i].want
			if !r.Shown || r.Scroll > 390 || r.Image {
				t.Errorf("%s, %q: %+v", pages[p], texts[i], r)
			}
			if want == "" && len(r.Hits) > 0 || want != "" && !slices.ContainsFunc(r.Hits, func(hit string) bool { return strings.Contains(hit, "/site/"+want) }) {
				t.Errorf("%s, %q: %q, want %q", pages[p], texts[i], r.Hits, want)
			}
		}
	}
	if len(got) != 2 || len(got[0]) != len(cases) {
		t.Errorf("tested %d pages", len(got))
	}
}

// TestWrites checks that write accepts only a folder that is empty or contains a site.
func TestWrites(t *testing.T) {
	s, err := load(root)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	mine := filepath.Join(dir, "mine")
	if err := os.WriteFile(mine, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := s.write(dir); err == nil {
		t.Error("write accepted a folder with other files")
	}
	if _, err := os.Stat(mine); err != nil {
		t.Error(err)
	}
	out := filepath.Join(dir, "out")
	for range 2 {
		if err := s.write(out); err != nil {
			t.Error(err)
		}
	}
}

// TestRefuses checks that a page with a broken link is an error.
func TestRefuses(t *testing.T) {
	s := &site{root: root, pages: map[string]*page{"README.md": nil}, files: map[string]bool{}}
	for _, text := range []string{"[a](no.md)", "![a](no.svg)", "[a](../../etc/passwd)", "![a](https://example.com/a.png)", "[a](javascript:alert(1))"} {
		if _, err := s.render("docs/a.md", []byte(text)); err == nil {
			t.Errorf("%s is accepted", text)
		}
	}
	p, err := s.render("docs/a.md", []byte("# A\n\n[b](../README.md#x) [c](../LICENSE) <b onclick=x>d</b> ![e](pictures/luks2.svg)\n"))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`href="index.html#x"`, `href="` + repository + `LICENSE"`, `src="files/docs/pictures/luks2.svg"`, `<h1 id="a">`} {
		if !strings.Contains(p.body, want) {
			t.Errorf("no %s in %s", want, p.body)
		}
	}
	if strings.Contains(p.body, "onclick") {
		t.Error("raw HTML is kept")
	}
}

// TestScreenshots makes the screenshots of docs with -update. They must exist and be small.
func TestScreenshots(t *testing.T) {
	const limit = 150_000
	for name, width := range map[string]int{"site-phone.png": 390, "site-desktop.png": 1280} {
		png := filepath.Join(root, "docs/pictures", name)
		if *update {
			out, _ := made(t)
			browser.Screenshot(t, filepath.Join(out, "pictures.html"), png, width, 720)
		}
		if fi, err := os.Stat(png); err != nil || fi.Size() > limit {
			t.Errorf("%s: %v, or more than %d bytes", name, err, limit)
		}
	}
}
