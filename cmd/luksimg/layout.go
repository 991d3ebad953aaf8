package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/luksimg/luksimg/archive"
	"github.com/luksimg/luksimg/image"
	"github.com/luksimg/luksimg/internal/rest"
)

// layoutPrefix begins the name of a container image in a folder.
const layoutPrefix = "oci:"

func isLayout(name string) bool { return strings.HasPrefix(name, layoutPrefix) }

// A layout is the open folder of a container image, with the files that were read.
type layout struct {
	*archive.Layout
	root *os.Root

	mu    sync.Mutex
	files []*image.File
}

// openLayout opens the container image in a folder.
func openLayout(ctx context.Context, g *global, name string) (*input, error) {
	root, err := os.OpenRoot(strings.TrimPrefix(name, layoutPrefix))
	if err != nil {
		return nil, withReference(err, strings.TrimPrefix(name, layoutPrefix))
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
	return &input{r: l.Layout, close: l.close, size: l.Size(), name: name, base: filepath.Base(name), mtime: l.ModTime(), layout: l}, nil
}

// holdsLayout reports whether a folder holds a container image.
func holdsLayout(name string) bool {
	fi, err := os.Stat(filepath.Join(name, "oci-layout"))
	return err == nil && fi.Mode().IsRegular()
}

// withReference adds a hint if the name is FOLDER:TAG, as skopeo writes it, or a file.
func withReference(err error, name string) error {
	if fi, e := os.Stat(name); e == nil && fi.Mode().IsRegular() {
		return rest.WithHint(err, "it is a file: name it without "+layoutPrefix)
	}
	for i, c := range name {
		if c == ':' && holdsLayout(name[:i]) {
			return rest.WithHint(err, fmt.Sprintf("name the folder, and the image in it by a flag: %s%s --oci-image %s", layoutPrefix, name[:i], name[i+1:]))
		}
	}
	return err
}

// withAddress adds a hint if the name of a missing file looks like a URL.
func withAddress(err error, name string) error {
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, prefix := range []string{"oci-archive:", "docker-archive:", "file://"} {
		if file, ok := strings.CutPrefix(name, prefix); ok {
			for i := len(file); i > 0; i = strings.LastIndexByte(file[:i], ':') {
				if fi, e := os.Stat(file[:i]); e == nil && fi.Mode().IsRegular() {
					text := "name the file alone: " + file[:i]
					if i < len(file) {
						text += " --oci-image " + file[i+1:]
					}
					return rest.WithHint(err, text)
				}
			}
		}
	}
	scheme, _, ok := strings.Cut(name, ":")
	if ok && len(scheme) > 1 && (strings.Contains(name, "://") || slices.Contains([]string{"docker-archive", "oci-archive", "docker-daemon", "containers-storage"}, scheme)) {
		return rest.WithHint(err, "an image is a file, https://HOST/PATH, cos://REGION/BUCKET/OBJECT, or oci:FOLDER for the folder of a container image; fetch any other first")
	}
	return err
}

// opened registers a file that is read, so that it cannot be an output.
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

// unchanged returns an error if a file has changed since it was read.
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

// layoutFolder returns the folder in a name.
func layoutFolder(name string) string { return filepath.Clean(strings.TrimPrefix(name, layoutPrefix)) }
