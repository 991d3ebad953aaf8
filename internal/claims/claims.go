// Package claims ensures that no output of a run is also an input or another output, under whatever
// name: a link, another path, a device. A run claims each file that it reads or writes before it writes
// anything. A conflicting claim is an error.
package claims

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/luksimg/luksimg/image/web"
	"github.com/luksimg/luksimg/internal/rest"
	"github.com/luksimg/luksimg/luks"
)

// A Set holds the claims of one run. The zero value is empty. A name is a path, an object of Object
// Storage ("cos://..."), an https:// address, or "-" for standard input or output.
type Set struct{ all []claim }

// A claim is one use of a file.
type claim struct {
	what string // the user's word for it: "SRC", "--key-file"
	name string
	out  bool // written, or changed in place

	whole bool // replaces an existing file
	tree  bool // a folder and everything in it

	file fs.FileInfo // nil if the file does not exist
	dir  fs.FileInfo // dir and base: folder and name of a file that does not exist
	base string
}

// Read claims a file for reading. Errors refer to it as what: "SRC", "--key-file".
func (s *Set) Read(what, name string) error { return s.add(claim{what: what, name: name}) }

// Write claims a file for writing, or for changing it in place.
func (s *Set) Write(what, name string) error {
	return s.add(claim{what: what, name: name, out: true})
}

// Replace claims a file that a new one replaces, if it exists.
func (s *Set) Replace(what, name string) error {
	return s.add(claim{what: what, name: name, out: true, whole: true})
}

// Folder claims a folder that is created and removed, with everything in it. For objects it claims all
// names that begin with name and a slash.
func (s *Set) Folder(what, name string) error {
	return s.add(claim{what: what, name: name, out: true, tree: true})
}

// ReadFile claims an open file for reading.
func (s *Set) ReadFile(what string, f *os.File) error {
	fi, err := f.Stat()
	if err != nil {
		return err
	}
	return s.add(claim{what: what, name: f.Name(), file: fi})
}

// Writes reports whether a name is claimed for writing.
func (s *Set) Writes(name string) bool {
	return slices.ContainsFunc(s.all, func(c claim) bool { return c.out && c.name == name })
}

// CheckHeaders returns an error if a file to be replaced is a detached or saved LUKS header. Without
// its header the data of an image may be lost.
func (s *Set) CheckHeaders() error {
	for _, c := range s.all {
		if err := c.checkHeader(); err != nil {
			return err
		}
	}
	return nil
}

// add adds a claim unless the set has it. It returns an error if it conflicts with another claim.
func (s *Set) add(c claim) error {
	c.find()
	for _, other := range s.all {
		if other.what == c.what && other.name == c.name && other.out == c.out {
			return nil
		}
		if err := c.against(other); err != nil {
			return err
		}
	}
	s.all = append(s.all, c)
	return nil
}

// find looks up the file. A file that find cannot look up cannot be opened either.
func (c *claim) find() {
	if c.file != nil || isObject(c.name) {
		return
	}
	if c.name == "-" {
		f := os.Stdin
		if c.out {
			f = os.Stdout
		}
		c.file, _ = f.Stat()
		return
	}
	fi, err := os.Stat(c.name)
	if err == nil {
		c.file = fi
	} else if errors.Is(err, fs.ErrNotExist) {
		c.dir, _ = os.Stat(filepath.Dir(c.name))
		c.base = filepath.Base(c.name)
	}
}

// isObject reports whether a name is that of an object or an address, not of a local file.
func isObject(name string) bool { return strings.HasPrefix(name, "cos://") || web.Is(name) }

func streamName(name string) string {
	if name == "-" {
		return "standard input"
	}
	return name
}

// same reports whether both claims are of the same file or object.
func (c *claim) same(o claim) bool {
	switch {
	case isObject(c.name) || isObject(o.name):
		return c.name == o.name
	case c.file != nil && o.file != nil:
		return os.SameFile(c.file, o.file) || sameDevice(c.file, o.file)
	case c.dir != nil && o.dir != nil:
		return c.base == o.base && os.SameFile(c.dir, o.dir)
	}
	return false
}

// in reports whether a claim is of something in a folder.
func (c *claim) in(folder claim) bool {
	if !folder.tree {
		return false
	}
	if isObject(c.name) || isObject(folder.name) {
		return strings.HasPrefix(c.name, folder.name+"/")
	}
	if folder.file == nil || c.name == "-" {
		return false // a folder that does not exist contains nothing
	}
	name, err := filepath.Abs(c.name)
	if err != nil {
		return false
	}
	// The file or any folder on its path can be a link.
	for _, resolve := range []string{name, filepath.Dir(name)} {
		at, err := filepath.EvalSymlinks(resolve)
		for err == nil {
			if fi, e := os.Stat(at); e == nil && os.SameFile(fi, folder.file) {
				return true
			}
			up := filepath.Dir(at)
			if up == at {
				break
			}
			at = up
		}
	}
	return false
}

// against returns an error if the claims conflict.
func (c *claim) against(o claim) error {
	if c.tree || o.tree {
		return c.againstFolder(o)
	}
	if !c.same(o) {
		return nil
	}
	if c.file != nil {
		switch mode := c.file.Mode(); {
		case mode.IsRegular(), mode&fs.ModeDevice != 0 && mode&fs.ModeCharDevice == 0:
		case mode&(fs.ModeNamedPipe|fs.ModeSocket) != 0 && !c.out && !o.out:
			return fmt.Errorf("%s cannot be both %s and %s: its data can be read only once", streamName(c.name), o.what, c.what)
		default: // a terminal, or /dev/null
			return nil
		}
	}
	if !c.out && !o.out {
		return nil
	}
	kind := "file"
	if isObject(c.name) {
		kind = "object"
	}
	out := c
	if !out.out {
		out = &o
	}
	if out.name == "-" {
		in := c
		if in == out {
			in = &o
		}
		return rest.WithHint(fmt.Errorf("%s and %s are the same %s: %s", o.what, c.what, kind, c.name), "give another descriptor or name for "+in.what)
	}
	why := "what is read is never written over, with --force neither: "
	if c.out && o.out {
		why = ""
	}
	return rest.WithHint(fmt.Errorf("%s and %s are the same %s: %s", o.what, c.what, kind, c.name), why+"give another name for "+out.what)
}

// againstFolder is like against where at least one claim is of a folder.
func (c *claim) againstFolder(o claim) error {
	folder, other := *c, o
	if o.tree && (!c.tree || o.in(*c)) {
		folder, other = o, *c
	}
	if !other.same(folder) && !other.in(folder) {
		return nil
	}
	return rest.WithHint(fmt.Errorf("%s is in %s: %s", other.what, folder.what, other.name), "give another name for "+other.what)
}

func (c *claim) checkHeader() error {
	if !c.whole || c.name == "-" || c.file == nil || !c.file.Mode().IsRegular() {
		return nil // no header to lose, or other checks refuse it
	}
	f, err := os.Open(c.name)
	if err != nil {
		return nil
	}
	defer f.Close()
	h, err := luks.Open(f, c.file.Size(), luks.OpenOptions{AllowNullCipher: true})
	if err != nil || h.DataOffset() != 0 && c.file.Size() > max(h.DataOffset(), h.HeaderSize()) {
		return nil
	}
	return rest.WithHint(fmt.Errorf("%s: %s is a LUKS header, which is never replaced", c.what, c.name),
		"choose another name, or remove it if no image needs it")
}
