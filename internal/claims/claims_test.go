package claims

import (
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/luksimg/luksimg/internal/rest"
	"github.com/luksimg/luksimg/luks"
)

func TestClaims(t *testing.T) {
	t.Chdir(t.TempDir())
	for _, name := range []string{"a", "b"} {
		if err := os.WriteFile(name, []byte(name), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Link("a", "hard"); err != nil {
		t.Skip(err)
	}
	const same = "are the same"
	for name, c := range map[string]struct {
		claim func(s *Set) error
		want  string
	}{
		"two inputs":                {func(s *Set) error { return s.Read("Y", "a") }, ""},
		"another":                   {func(s *Set) error { return s.Write("Y", "b") }, ""},
		"the same again":            {func(s *Set) error { return s.Read("X", "a") }, ""},
		"written":                   {func(s *Set) error { return s.Write("Y", "a") }, same + " file: a"},
		"by another name":           {func(s *Set) error { return s.Replace("Y", "hard") }, same + " file: hard"},
		"two missing files":         {func(s *Set) error { return s.Write("Y", "./new") }, same + " file: ./new"},
		"objects":                   {func(s *Set) error { return s.Write("Y", "cos://r/b/o") }, same + " object"},
		"an object and another one": {func(s *Set) error { return s.Write("Y", "cos://r/b/p") }, ""},
	} {
		s := new(Set)
		for _, err := range []error{s.Read("X", "a"), s.Write("Z", "new"), s.Read("O", "cos://r/b/o")} {
			if err != nil {
				t.Fatal(err)
			}
		}
		err := c.claim(s)
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want) || rest.Hint(err) == "") {
			t.Errorf("%s: %v, want %q with a hint", name, err, c.want)
		}
		if !s.Writes("new") || s.Writes("a") && c.want == "" {
			t.Errorf("%s: Writes is wrong for new or a", name)
		}
	}
}

// TestFolder checks that a claimed folder covers everything in it, by whatever name, and in either
// order of claims.
func TestFolder(t *testing.T) {
	t.Chdir(t.TempDir())
	if err := os.MkdirAll("there/in", 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile("there/in/file", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.Symlink("there/in", "link"), os.Symlink("there/in/file", "file")); err != nil {
		t.Skip(err)
	}
	for _, c := range []struct {
		folder, name string
		ok           bool
	}{
		{"there", "there", false},
		{"there", "./there/", false},
		{"there", "there/new", false},
		{"there", "there/in/file", false},
		{"there", "link/new", false},
		{"there", "link/file", false},
		{"there", "file", false},
		{"there", "there.other", true},
		{"there", "new", true},
		{"there", "-", true},
		{"new", "new", false},
		{"new", "./new", false},
		{"new", "newer", true},
		{"cos://r/b/o", "cos://r/b/o/a", false},
		{"cos://r/b/o", "cos://r/b/o", false},
		{"cos://r/b/o", "cos://r/b/other", true},
		{"cos://r/b/o", "there", true},
	} {
		for _, write := range []bool{false, true} {
			use := func(s *Set) error { return s.Read("X", c.name) }
			if write {
				use = func(s *Set) error { return s.Replace("X", c.name) }
			}
			folder := func(s *Set) error { return s.Folder("the folder", c.folder) }
			for _, order := range [][]func(*Set) error{{use, folder}, {folder, use}} {
				s := new(Set)
				if err := order[0](s); err != nil {
					t.Fatal(err)
				}
				err := order[1](s)
				if (err == nil) != c.ok || err != nil && (!strings.Contains(err.Error(), "X is in the folder: "+c.name) || rest.Hint(err) == "") {
					t.Errorf("%s in %s, written %v: %v", c.name, c.folder, write, err)
				}
			}
		}
	}
}

// TestHeaders checks that a file that is a LUKS header can be changed but not replaced.
func TestHeaders(t *testing.T) {
	t.Chdir(t.TempDir())
	h, key, err := luks.New(t.Context(), []byte("passphrase"), luks.Options{Detached: true, KDF: luks.KDF{Type: luks.PBKDF2, Iterations: 1000}})
	if err != nil {
		t.Fatal(err)
	}
	clear(key)
	f, err := os.Create("header")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := h.WriteTo(f); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile("text", []byte("no header"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		claim func(s *Set) error
		ok    bool
	}{
		"changed":      {func(s *Set) error { return s.Write("X", "header") }, true},
		"replaced":     {func(s *Set) error { return s.Replace("X", "header") }, false},
		"another file": {func(s *Set) error { return s.Replace("X", "text") }, true},
		"none":         {func(s *Set) error { return s.Replace("X", "new") }, true},
	} {
		s := new(Set)
		if err := c.claim(s); err != nil {
			t.Fatal(err)
		}
		if err := s.CheckHeaders(); (err == nil) != c.ok {
			t.Errorf("%s: %v", name, err)
		}
	}
}
