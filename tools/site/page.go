package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"strings"
	"unicode"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/extension"
	"github.com/yuin/goldmark/parser"
	"github.com/yuin/goldmark/text"
)

// repository is the address of files of the repository that are not in the site.
const repository = "https://github.com/luksimg/luksimg/blob/main/"

// A page is a rendered Markdown file.
type page struct {
	address  string
	title    string
	body     string
	links    []string // links to other Markdown files, in order
	sections []section
}

// A section is a unit of the search: a heading and the text below it.
type section struct {
	Address string `json:"a"`
	Page    string `json:"p"`
	Title   string `json:"t"`
	Text    string `json:"x"`
}

// render renders a file in GitHub Flavored Markdown. It omits raw HTML.
func (s *site) render(name string, src []byte) (*page, error) {
	md := goldmark.New(goldmark.WithExtensions(extension.GFM), goldmark.WithParserOptions(parser.WithAutoHeadingID()))
	doc := md.Parser().Parse(text.NewReader(src), parser.WithContext(parser.NewContext(parser.WithIDs(&slugs{seen: map[string]bool{}}))))
	p := &page{address: address(name), title: name}
	var wrong []error
	var titled bool
	err := ast.Walk(doc, func(n ast.Node, entering bool) (ast.WalkStatus, error) {
		if !entering {
			return ast.WalkContinue, nil
		}
		switch n := n.(type) {
		case *ast.Heading:
			if !titled {
				p.title, titled = plainText(n, src), true
			}
		case *ast.Link:
			to, err := s.target(p, name, string(n.Destination), false)
			wrong = append(wrong, err)
			n.Destination = []byte(to)
		case *ast.Image:
			to, err := s.target(p, name, string(n.Destination), true)
			wrong = append(wrong, err)
			n.Destination = []byte(to)
		}
		return ast.WalkContinue, nil
	})
	if err := errors.Join(append(wrong, err)...); err != nil {
		return nil, err
	}
	p.sections = sectionsOf(p, doc, src)
	var b bytes.Buffer
	if err := md.Renderer().Render(&b, src, doc); err != nil {
		return nil, err
	}
	p.body = strings.ReplaceAll(strings.ReplaceAll(b.String(), "<table>", `<div class="wide"><table>`), "</table>", "</table></div>")
	return p, nil
}

// target returns the address in the site of the target of a link or an image.
func (s *site) target(p *page, name, to string, shown bool) (string, error) {
	u, err := url.Parse(to)
	if err != nil {
		return "", err
	}
	if u.Scheme != "" || u.Path == "" {
		if u.Scheme != "" && u.Scheme != "https" && u.Scheme != "mailto" || shown {
			return "", fmt.Errorf("%s: want https, or a file of the repository", to)
		}
		return to, nil
	}
	file := path.Join(path.Dir(name), u.Path)
	fi, err := os.Stat(filepath.Join(s.root, file))
	switch {
	case !filepath.IsLocal(file):
		return "", fmt.Errorf("%s is outside of the repository", to)
	case errors.Is(err, fs.ErrNotExist):
		return "", fmt.Errorf("%s does not exist", to)
	case err != nil:
		return "", err
	}
	if _, ok := s.pages[file]; ok {
		p.links = append(p.links, file)
		u.Path = relative(p.address, address(file))
		return u.String(), nil
	}
	if shown || !fi.IsDir() && (path.Ext(file) == ".svg" || path.Ext(file) == ".png") {
		s.files[file] = true
		return relative(p.address, fileAddress(file)), nil
	}
	u.Path = ""
	return repository + file + u.String(), nil
}

// sectionsOf splits a page at its headings.
func sectionsOf(p *page, doc ast.Node, src []byte) []section {
	all := []section{{Address: p.address, Page: p.title, Title: p.title}}
	for n := doc.FirstChild(); n != nil; n = n.NextSibling() {
		last := &all[len(all)-1]
		h, ok := n.(*ast.Heading)
		switch {
		case ok && h.Level == 1 && last.Text == "":
			last.Title = plainText(h, src)
		case ok:
			id, _ := h.AttributeString("id")
			b, _ := id.([]byte)
			all = append(all, section{p.address + "#" + string(b), p.title, plainText(h, src), ""})
		default:
			last.Text = strings.TrimSpace(last.Text + " " + plainText(n, src))
		}
	}
	return all
}

// plainText returns the text of a node, with single spaces.
func plainText(n ast.Node, src []byte) string {
	var b strings.Builder
	ast.Walk(n, func(n ast.Node, entering bool) (ast.WalkStatus, error) {
		switch n := n.(type) {
		case *ast.Text:
			if entering {
				b.Write(n.Segment.Value(src))
				if n.SoftLineBreak() || n.HardLineBreak() {
					b.WriteByte(' ')
				}
			}
		case *ast.String:
			if entering {
				b.Write(n.Value)
			}
		case *ast.AutoLink:
			if entering {
				b.Write(n.URL(src))
			}
		case *ast.CodeBlock, *ast.FencedCodeBlock:
			if entering {
				for i := range n.Lines().Len() {
					l := n.Lines().At(i)
					b.Write(l.Value(src))
					b.WriteByte(' ')
				}
			}
		default:
			if n.Type() == ast.TypeBlock {
				b.WriteByte(' ')
			}
		}
		return ast.WalkContinue, nil
	})
	return strings.Join(strings.Fields(b.String()), " ")
}

// slugs makes the anchors of headings like GitHub.
type slugs struct{ seen map[string]bool }

func (s *slugs) Generate(value []byte, _ ast.NodeKind) []byte {
	slug := strings.Map(func(r rune) rune {
		switch {
		case r == ' ':
			return '-'
		case r == '-' || r == '_' || unicode.IsLetter(r) || unicode.IsDigit(r):
			return unicode.ToLower(r)
		}
		return -1
	}, strings.TrimSpace(string(value)))
	unique := slug
	for i := 1; s.seen[unique]; i++ {
		unique = fmt.Sprintf("%s-%d", slug, i)
	}
	s.seen[unique] = true
	return []byte(unique)
}

func (s *slugs) Put(value []byte) { s.seen[string(value)] = true }
