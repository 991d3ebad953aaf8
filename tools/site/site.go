package main

import (
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"html/template"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// sources are the Markdown files of the site, relative to the repository.
var sources = []string{"README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md", "docs/*.md", "docs/cli/*.md", "benchmarks/README.md"}

// manual is the first page of the manual, and the only one in the navigation.
const manual = "docs/cli/luksimg.md"

//go:embed theme
var theme embed.FS

// A site holds all pages by the name of their Markdown files.
type site struct {
	root  string
	pages map[string]*page
	order []string // order of the navigation
	files map[string]bool
}

// load reads and renders all pages.
func load(root string) (*site, error) {
	s := &site{root: root, pages: map[string]*page{}, files: map[string]bool{}}
	for _, pattern := range sources {
		names, err := filepath.Glob(filepath.Join(root, pattern))
		if err != nil {
			return nil, err
		}
		for _, name := range names {
			rel, err := filepath.Rel(root, name)
			if err != nil {
				return nil, err
			}
			s.pages[filepath.ToSlash(rel)] = nil
		}
	}
	for name := range s.pages {
		b, err := os.ReadFile(filepath.Join(root, name))
		if err != nil {
			return nil, err
		}
		if s.pages[name], err = s.render(name, b); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	if s.pages["README.md"] == nil || s.pages[manual] == nil {
		return nil, errors.New("README.md or docs/cli is missing: this is not the folder of the repository")
	}
	s.order = s.navigation()
	return s, nil
}

// start is the first page of the navigation after the README.
const start = "docs/getting-started.md"

// navigation lists the pages in the order of the README's links: first the links from start on, then
// earlier links, then all other pages.
func (s *site) navigation() []string {
	order := []string{"README.md"}
	add := func(name string) {
		if s.pages[name] != nil && !slices.Contains(order, name) && (name == manual || path.Dir(name) != path.Dir(manual)) {
			order = append(order, name)
		}
	}
	links := s.pages["README.md"].links
	first := max(slices.Index(links, start), 0)
	for _, name := range slices.Concat(links[first:], links[:first]) {
		add(name)
	}
	add(manual)
	var rest []string
	for name := range s.pages {
		rest = append(rest, name)
	}
	slices.Sort(rest)
	for _, name := range rest {
		add(name)
	}
	return order
}

// address returns the address in the site of a Markdown file.
func address(name string) string {
	if name == "README.md" {
		return "index.html"
	}
	return strings.TrimSuffix(strings.TrimPrefix(name, "docs/"), ".md") + ".html"
}

// fileAddress returns the address in the site of a file that a page shows.
func fileAddress(name string) string { return "files/" + name }

// relative returns the address of to relative to the page from.
func relative(from, to string) string {
	return strings.Repeat("../", strings.Count(from, "/")) + to
}

// A navLink is a link of the navigation.
type navLink struct {
	Title, Address string
	Here           bool
}

// write writes the site to a folder that is empty or that contains a site.
func (s *site) write(out string) error {
	const mark = "search-index.js"
	if old, err := os.ReadDir(out); err == nil && len(old) > 0 {
		if _, err := os.Stat(filepath.Join(out, mark)); err != nil {
			return fmt.Errorf("%s is not empty and does not contain a site", out)
		}
		if err := os.RemoveAll(out); err != nil {
			return err
		}
	}
	shell, err := template.ParseFS(theme, "theme/page.html")
	if err != nil {
		return err
	}
	var index []section
	for _, name := range slices.Sorted(func(yield func(string) bool) {
		for name := range s.pages {
			if !yield(name) {
				return
			}
		}
	}) {
		p := s.pages[name]
		index = append(index, p.sections...)
		var nav []navLink
		for _, other := range s.order {
			nav = append(nav, navLink{s.pages[other].title, relative(p.address, s.pages[other].address), other == name})
		}
		var b strings.Builder
		err := shell.Execute(&b, map[string]any{"Title": p.title, "Body": template.HTML(p.body), "Nav": nav, "Root": strings.Repeat("../", strings.Count(p.address, "/")), "Source": name})
		if err != nil {
			return err
		}
		if err := writeFile(out, p.address, []byte(b.String())); err != nil {
			return err
		}
	}
	for name := range s.files {
		b, err := os.ReadFile(filepath.Join(s.root, name))
		if err != nil {
			return err
		}
		if err := writeFile(out, fileAddress(name), b); err != nil {
			return err
		}
	}
	for _, name := range []string{"style.css", "search.js"} {
		b, err := fs.ReadFile(theme, "theme/"+name)
		if err != nil {
			return err
		}
		if err := writeFile(out, name, b); err != nil {
			return err
		}
	}
	b, err := json.Marshal(index)
	if err != nil {
		return err
	}
	return writeFile(out, mark, []byte("window.searchIndex="+string(b)+"\n"))
}

func writeFile(out, name string, b []byte) error {
	name = filepath.Join(out, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(name), 0o777); err != nil {
		return err
	}
	return os.WriteFile(name, b, 0o666)
}
