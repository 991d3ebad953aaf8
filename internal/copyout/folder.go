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
	maxDepth  = 256      // nested folders, all of them open
	maxLinked = 64 << 20 // bytes of remembered paths of files with several names
)

// folder copies the content of a folder to root, which has this path from the top.
//
// It creates symbolic links last, so that no link is in the way of a file. In addition, an os.Root
// follows no link to the outside.
func (c *copier) folder(f *files.File, root *os.Root, path string) error {
	fail := func(err error) error { return fmt.Errorf("/%s: %w", path, err) }
	if slices.Contains(c.above, f.Inode) {
		return fail(fmt.Errorf("%w: the folder is inside itself", image.ErrFormat))
	}
	if len(c.above) == maxDepth {
		return fail(fmt.Errorf("%w: more than %d nested folders", files.ErrLimit, maxDepth))
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
		if err != nil && n.Mode.IsDir() { // the error has a path already
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

// usable returns an error for a name that this system would take for a path.
func usable(name string) error {
	if !filepath.IsLocal(name) || strings.ContainsRune(name, filepath.Separator) {
		return fmt.Errorf("%w: this system has no such name", image.ErrUnsupported)
	}
	return nil
}

// twice explains a name that exists in a folder that was created by this copy.
func twice(err error) error {
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%w: the folder has this name twice, or another one that is the same here", image.ErrFormat)
	}
	return err
}

// entry copies one entry of a folder into root.
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

// file copies a file, or links it to the copy of its first name.
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
