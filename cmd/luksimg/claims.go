package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/luksimg/luksimg/luks"
)

// claims are the files that one run of a verb reads and writes. Each is claimed before the
// run writes anything, and one that can not be claimed ends the run: no output is ever an
// input, nor another output, by whatever name.
type claims struct{ all []claim }

// A claim is one use of a file.
type claim struct {
	what string // as the person knows it: "SRC", "--key-file"
	name string
	out  bool // it is written, or changed in place

	whole bool // it is made new, in place of one that is there

	file fs.FileInfo // nil if it is not there
	dir  fs.FileInfo // of one that is not there, as is base
	base string
}

// read claims a file that is read. what says which it is, for a message.
func (s *claims) read(what, name string) error { return s.add(claim{what: what, name: name}) }

// write claims a file that is written.
func (s *claims) write(what, name string) error {
	return s.add(claim{what: what, name: name, out: true})
}

// readFile claims a file that is open for reading.
func (s *claims) readFile(what string, f *os.File) error {
	fi, err := f.Stat()
	if err != nil {
		return err
	}
	return s.add(claim{what: what, name: f.Name(), file: fi})
}

// add adds a claim, unless it is there already, or there is one that it does not go with.
func (s *claims) add(c claim) error {
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

// find looks the file up. One that can not be looked up can not be opened either.
func (c *claim) find() {
	if c.file != nil || isCOS(c.name) {
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

// same tells whether two claims are of one file, or one object.
func (c *claim) same(o claim) bool {
	switch {
	case isCOS(c.name) || isCOS(o.name):
		return c.name == o.name
	case c.file != nil && o.file != nil:
		return os.SameFile(c.file, o.file) || sameDevice(c.file, o.file)
	case c.dir != nil && o.dir != nil:
		return c.base == o.base && os.SameFile(c.dir, o.dir)
	}
	return false
}

// against tells whether two claims go together.
func (c *claim) against(o claim) error {
	if !c.same(o) {
		return nil
	}
	if c.file != nil {
		switch mode := c.file.Mode(); {
		case mode.IsRegular(), mode&fs.ModeDevice != 0 && mode&fs.ModeCharDevice == 0:
		case mode&(fs.ModeNamedPipe|fs.ModeSocket) != 0 && !c.out && !o.out:
			return fmt.Errorf("%s can not be both %s and %s: what is read from it is gone", stdinName(c.name), o.what, c.what)
		default: // a terminal, or /dev/null
			return nil
		}
	}
	if !c.out && !o.out {
		return nil
	}
	kind := "file"
	if isCOS(c.name) {
		kind = "object"
	}
	out := c
	if !out.out {
		out = &o
	}
	why := "what is read is never written over, with --force neither: "
	if c.out && o.out {
		why = ""
	}
	return withHint(fmt.Errorf("%s and %s are the same %s: %s", o.what, c.what, kind, c.name), why+"give another name for "+out.what)
}

// checkHeader refuses to write over a LUKS header that is a file of its own, detached or
// saved: the data of an image may be lost with it.
func (c *claim) checkHeader() error {
	if !c.whole || c.name == "-" || c.file == nil || !c.file.Mode().IsRegular() {
		return nil // there is nothing to lose, or it is refused for what it is
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
	return withHint(fmt.Errorf("%s: %s is a LUKS header, which is never replaced", c.what, c.name),
		"choose another name, or remove it if no image needs it")
}
