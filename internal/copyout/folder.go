package copyout

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/luksimg/luksimg/contents/files"
	"github.com/luksimg/luksimg/image"
)

const (
	maxDepth  = 256      // folders in each other, each of which is open
	maxLinked = 64 << 20 // bytes of paths of files with several names that are kept in mind
)

// folder copies what is in a folder to the one that is root, at a path from the top.
//
// Symbolic links are made last, when all that is in the folder is done: while files are made there
// is none on the way to them. Besides, a Root does not follow any to the outside.
func (c *copier) folder(f *files.File, root *os.Root, path string) error {
	fail := func(err error) error { return fmt.Errorf("/%s: %w", path, err) }
	if slices.Contains(c.above, f.Inode) {
		return fail(fmt.Errorf("%w: the folder is inside itself", image.ErrFormat))
	}
	if len(c.above) == maxDepth {
		return fail(fmt.Errorf("%w: more than %d folders in each other", files.ErrLimit, maxDepth))
	}
	c.above = append(c.above, f.Inode)
	defer func() { c.above = c.above[:len(c.above)-1] }()
	links := 0
	for n, err := range f.Entries() {
		if n == nil {
			return fail(err)
		}
		at := filepath.Join(path, n.Name)
		if err == nil {
			err = usable(n.Name)
		}
		if err == nil && n.Mode&fs.ModeSymlink != 0 {
			links++
			continue
		}
		if err == nil {
			err = c.entry(n, root, at)
		}
		if err != nil && n.Mode.IsDir() { // it has the path of what is in it
			return err
		}
		if err != nil {
			return fmt.Errorf("/%s: %w", at, err)
		}
	}
	for n, err := range f.Entries() {
		if links == 0 {
			break
		}
		if n == nil || err != nil || n.Mode&fs.ModeSymlink == 0 {
			continue // those errors were returned above
		}
		target, err := n.Target()
		if err == nil {
			err = twice(root.Symlink(target, n.Name))
		}
		if err != nil {
			return fmt.Errorf("/%s: %w", filepath.Join(path, n.Name), err)
		}
		c.stats.Links++
		links--
	}
	return nil
}

// usable refuses a name that would be a path here.
func usable(name string) error {
	if !filepath.IsLocal(name) || strings.ContainsRune(name, filepath.Separator) {
		return fmt.Errorf("%w: this system has no such name", image.ErrUnsupported)
	}
	return nil
}

// twice tells of a name that is taken what that means in a folder that is new.
func twice(err error) error {
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%w: the folder has this name twice, or another one that is the same here", image.ErrFormat)
	}
	return err
}

// entry copies a file or folder into the one that is root.
func (c *copier) entry(n *files.File, root *os.Root, path string) error {
	if c.ctx.Err() != nil {
		return c.ctx.Err()
	}
	switch {
	case n.Mode.IsDir():
		if err := root.Mkdir(n.Name, n.Mode.Perm()|0o700); err != nil {
			return fmt.Errorf("/%s: %w", path, twice(err))
		}
		c.stats.Folders++
		sub, err := root.OpenRoot(n.Name)
		if err != nil {
			return fmt.Errorf("/%s: %w", path, err)
		}
		defer sub.Close()
		return c.folder(n, sub, path)
	case n.Mode.IsRegular():
		return c.file(n, root, path)
	}
	c.stats.Skipped++
	if c.o.Skipped != nil {
		c.o.Skipped("/"+path, n)
	}
	return nil
}

// file copies a file, or makes one more name of it.
func (c *copier) file(n *files.File, root *os.Root, path string) error {
	c.stats.Files++
	if first, ok := c.linked[n.Inode]; ok {
		return twice(c.top.Link(first, path))
	}
	out, err := root.OpenFile(n.Name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, n.Mode.Perm()|0o600)
	if err != nil {
		return twice(err)
	}
	err = c.content(out, n)
	if err == nil {
		err = syncOne(out)
	}
	if e := out.Close(); err == nil {
		err = e
	}
	if size := len(path) + 64; n.Links > 1 && size <= maxLinked-c.kept {
		c.linked[n.Inode] = path
		c.kept += size
	}
	return err
}
