package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/luksimg/luksimg"
)

// A resolver opens the files that an image needs, if they are in the folder of that
// image or below it. The names in an image are not to be trusted: no path, and no link,
// leads out of the folder.
type resolver struct {
	claims *claims
	root   *os.Root
	dir    string // the folder, as an absolute path
	files  []*os.File
}

func newResolver(image string, claims *claims) (*resolver, error) {
	dir, err := filepath.Abs(filepath.Dir(image))
	if err != nil {
		return nil, err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	return &resolver{claims: claims, root: root, dir: dir}, nil
}

func (r *resolver) close() {
	for _, f := range r.files {
		f.Close()
	}
	r.root.Close()
}

// errOutside: the file is not one that may be opened.
var errOutside = errors.New("not a file in the folder of the image")

// resolve opens the first of the names that is there.
func (r *resolver) resolve(ref luksimg.Ref) (*luksimg.OtherFile, error) {
	var missing error
	for _, name := range ref.Names {
		for _, path := range candidates(name) {
			f, err := r.open(filepath.Dir(ref.From), path)
			if err == nil {
				return f, nil
			}
			if missing == nil || !errors.Is(err, fs.ErrNotExist) {
				missing = err
			}
		}
	}
	if missing == nil {
		missing = fmt.Errorf("the image does not name its %s", ref.What)
	}
	if errors.Is(missing, errOutside) || errors.Is(missing, fs.ErrNotExist) {
		missing = withHint(missing, "only files in the folder of the image, or below it, are opened: put the "+ref.What+" there")
	}
	return nil, missing
}

var protocol = regexp.MustCompile(`^[a-zA-Z][a-zA-Z0-9+.-]+:`)

// candidates returns the paths that a name may mean. Tools on Windows write \ between
// folders; the path of another machine may be that of a file beside the image.
func candidates(name string) []string {
	name = strings.TrimPrefix(name, "file:")
	paths := []string{name}
	if filepath.Separator != '\\' && strings.Contains(name, `\`) {
		slashed := strings.ReplaceAll(name, `\`, "/")
		paths = append(paths, slashed)
		if len(slashed) > 2 && slashed[1] == ':' || strings.HasPrefix(slashed, "/") {
			paths = append(paths, slashed[strings.LastIndex(slashed, "/")+1:])
		}
	}
	return paths
}

// open opens a file by a path that is absolute, or relative to a folder in the root.
func (r *resolver) open(from, path string) (*luksimg.OtherFile, error) {
	if protocol.MatchString(path) || strings.ContainsRune(path, 0) {
		return nil, fmt.Errorf("%q: %w", path, errOutside)
	}
	rel := filepath.Join(from, path)
	if filepath.IsAbs(path) {
		var err error
		if rel, err = filepath.Rel(r.dir, path); err != nil {
			return nil, fmt.Errorf("%q: %w", path, errOutside)
		}
	}
	if !filepath.IsLocal(rel) {
		return nil, fmt.Errorf("%q: %w", path, errOutside)
	}
	// Opening what is no regular file could block.
	fi, err := r.root.Stat(rel)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("%q: %w", path, fs.ErrNotExist)
		}
		return nil, fmt.Errorf("%q: %w: %w", path, errOutside, err)
	}
	if !fi.Mode().IsRegular() {
		return nil, fmt.Errorf("%q: %w", path, errOutside)
	}
	f, err := r.root.Open(rel)
	if err != nil {
		return nil, err
	}
	r.files = append(r.files, f)
	if err := r.claims.readFile("a file that the image needs", f); err != nil {
		return nil, err
	}
	return &luksimg.OtherFile{ReaderAt: f, Size: fi.Size(), ID: rel}, nil
}
