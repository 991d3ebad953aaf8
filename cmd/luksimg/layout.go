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

// holdsLayout tells whether there is a folder that is a container image.
func holdsLayout(name string) bool {
	fi, err := os.Stat(filepath.Join(name, "oci-layout"))
	return err == nil && fi.Mode().IsRegular()
}

// withReference says what to write where a folder was named as skopeo does, "FOLDER:TAG", or is a file.
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

// withAddress says which names are taken, where one that is no file looks like an address.
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
		return rest.WithHint(err, "an image is a file, or what is at https://HOST/PATH, cos://REGION/BUCKET/OBJECT, or in the folder of a container image, oci:FOLDER; fetch others first")
	}
	return err
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
