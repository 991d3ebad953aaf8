package tree

import (
	"errors"
	"io/fs"
	"strings"
	"testing"
)

// A fake is a directory, or a link or file with content.
type fake struct {
	kind    Kind
	entries map[string]*fake
	content string
}

func (f *fake) Kind() Kind { return f.kind }

func (f *fake) Lookup(name string) (Node, error) {
	if n, ok := f.entries[name]; ok {
		return n, nil
	}
	return nil, fs.ErrNotExist
}

func (f *fake) Content(limit int) ([]byte, error) {
	return []byte(f.content[:min(limit, len(f.content))]), nil
}

func (f *fake) Attr() Attr             { return Attr{} }
func (f *fake) Run(int64) (Run, error) { return Run{}, fs.ErrInvalid }
func (f *fake) Entries(func(string, func() (Node, error)) bool) error {
	return fs.ErrInvalid
}

func dir(entries map[string]*fake) *fake { return &fake{kind: Dir, entries: entries} }
func file(content string) *fake          { return &fake{kind: File, content: content} }
func link(target string) *fake           { return &fake{kind: Link, content: target} }

func TestOpen(t *testing.T) {
	deep := file("deep")
	for range 100 {
		deep = dir(map[string]*fake{"d": deep})
	}
	chain := map[string]*fake{"end": file("end")}
	for i := range 50 {
		next := "end"
		if i > 0 {
			next = "l" + strings.Repeat("x", i-1)
		}
		chain["l"+strings.Repeat("x", i)] = link(next)
	}
	root := dir(map[string]*fake{
		"usr": dir(map[string]*fake{
			"bin": dir(map[string]*fake{"tool": file("tool"), "self": link("."), "up": link("../../../bin/tool")}),
			"lib": dir(map[string]*fake{"os-release": file("os")}),
		}),
		"bin":   link("usr/bin"),
		"etc":   dir(map[string]*fake{"os-release": link("../usr/lib/os-release"), "abs": link("/usr/lib//os-release")}),
		"loop":  link("loop"),
		"a":     link("b"),
		"b":     link("/a/b"),
		"wide":  link(strings.Repeat("./", 300) + "usr"),
		"empty": link(""),
		"twice": link("bin/self/self"),
		"deep":  deep,
		"chain": dir(chain),
	})
	for _, c := range []struct {
		path, want string
		err        error
	}{
		{"/usr/bin/tool", "tool", nil},
		{"/bin/tool", "tool", nil},
		{"bin/./tool", "tool", nil},
		{"/etc/os-release", "os", nil},
		{"/etc/abs", "os", nil},
		{"/bin/../lib/os-release", "os", nil}, // .. of the link's target
		{"/../../usr/bin/tool", "tool", nil},
		{"/usr/bin/self/self/tool", "tool", nil},
		{"/usr/bin/up", "tool", nil},
		{"/twice/tool", "tool", nil},
		{"/chain/l" + strings.Repeat("x", 39), "end", nil},
		{"/chain/l" + strings.Repeat("x", 40), "", ErrLinks},
		{"/nothing", "", fs.ErrNotExist},
		{"/usr/bin/tool/x", "", fs.ErrNotExist},
		{"/loop", "", ErrLinks},
		{"/a", "", ErrLinks},
		{"/wide/bin/tool", "", ErrLinks},
		{"/deep" + strings.Repeat("/d", 99), "", ErrLinks},
		{"/" + strings.Repeat("./", 300) + "usr", "", ErrLinks},
	} {
		n, err := Open(root, c.path)
		if !errors.Is(err, c.err) {
			t.Errorf("%s: %v, want %v", c.path, err, c.err)
			continue
		}
		if err == nil {
			if got, _ := n.Content(100); string(got) != c.want {
				t.Errorf("%s is %q, want %q", c.path, got, c.want)
			}
		}
	}
	if n, err := Open(root, "/"); err != nil || n != Node(root) {
		t.Errorf("the root: %v, %v", n, err)
	}
}
