package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/luksimg/luksimg/archive"
	"github.com/luksimg/luksimg/image"
	"github.com/luksimg/luksimg/internal/rest"
)

// layoutPrefix is before the name of a folder that is a container image.
const layoutPrefix = "oci:"

func isLayout(name string) bool { return strings.HasPrefix(name, layoutPrefix) }

// A layout is the folder of a container image, and the files of it that were read.
type layout struct {
	*archive.Layout
	root *os.Root

	mu    sync.Mutex
	files []*image.File
}

// openLayout opens the container image that is in a folder.
func openLayout(ctx context.Context, g *global, name string) (*input, error) {
	root, err := os.OpenRoot(strings.TrimPrefix(name, layoutPrefix))
	if err != nil {
		return nil, err
	}
	l := &layout{root: root}
	if l.Layout, err = archive.OpenLayout(ctx, root.FS()); err != nil {
		root.Close()
		if errors.Is(err, fs.ErrNotExist) {
			err = rest.WithHint(err, "oci:FOLDER is for a folder with oci-layout, index.json and blobs; skopeo copy docker://IMAGE oci:FOLDER makes one")
		}
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	l.Opened = func(f fs.File) error { return l.opened(g, f) }
	in := &input{r: l.Layout, close: l.close, size: l.Size(), name: name, base: filepath.Base(name), layout: l}
	if fi, err := root.Stat("index.json"); err == nil {
		in.mtime = fi.ModTime()
	}
	return in, nil
}

// opened takes note of a file that is read, which may be no output.
func (l *layout) opened(g *global, f fs.File) error {
	file, ok := f.(*os.File)
	if !ok {
		return errors.ErrUnsupported
	}
	if err := g.files.ReadFile("a file of the container image", file); err != nil {
		return err
	}
	i, err := image.NewFile(file)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.files = append(l.files, i)
	return err
}

// unchanged tells whether the files that were read are what they were.
func (l *layout) unchanged() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, f := range l.files {
		if err := f.Unchanged(); err != nil {
			return err
		}
	}
	return nil
}

func (l *layout) close() {
	l.Layout.Close()
	l.root.Close()
}

// layoutFolder is the folder of a name, which is that of a file otherwise.
func layoutFolder(name string) string { return filepath.Clean(strings.TrimPrefix(name, layoutPrefix)) }
