// Package folder opens the other files that a disk image needs, such as the backing file of a qcow2
// image or the parent of a VHD. It opens only files in the folder of the image or below it.
//
// The image holds the names of those files, so they are not trusted. [os.Root] ensures that no path
// and no link leads out of the folder.
package folder

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"

	"github.com/luksimg/luksimg"
	"github.com/luksimg/luksimg/image"
)

// ErrOutside means that a file is outside the folder, or not a regular file, and was not opened.
var ErrOutside = errors.New("not a file in the folder of the image")

// An Error reports a file that an image needs and that could not be opened. It matches Err: an
// error of [os.Root], [fs.ErrNotExist] or [ErrOutside].
type Error struct {
	What string // the role of the file: "backing file"
	Err  error
}

func (e *Error) Error() string { return e.Err.Error() }

// Unwrap returns Err.
func (e *Error) Unwrap() error { return e.Err }

// Hint returns advice for the user, or "".
func (e *Error) Hint() string {
	if errors.Is(e.Err, ErrOutside) || errors.Is(e.Err, fs.ErrNotExist) {
		return "only files in the folder of the image, or below it, are opened: put the " + e.What + " there"
	}
	return ""
}

// A Folder opens files in one folder. It is safe for concurrent use.
type Folder struct {
	// Opened, if not nil, is called with each file before it is read. If it returns an error, the
	// file is refused.
	Opened func(f *os.File) error

	root *os.Root

	mu    sync.Mutex
	files []*os.File
}

// New returns a Folder of root, which Close closes. An absolute path in an image is accepted if it
// leads into the folder that root was opened with.
func New(root *os.Root) *Folder { return &Folder{root: root} }

// Close closes the opened files and the folder. Images that read from them become unusable.
func (d *Folder) Close() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, f := range d.files {
		f.Close()
	}
	d.files = nil
	return d.root.Close()
}

// Resolve opens the first existing file among ref.Names. Its errors are of type [*Error]. Use it as
// the Resolve function of [luksimg.ImageOptions].
func (d *Folder) Resolve(ref image.Ref) (*luksimg.OtherFile, error) {
	var missing error
	for _, name := range ref.Names {
		for _, path := range candidates(name) {
			f, err := d.open(filepath.Dir(ref.From), path)
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
	return nil, &Error{ref.What, missing}
}

var protocol = regexp.MustCompile(`^[a-zA-Z][a-zA-Z0-9+.-]+:`)

// candidates returns the paths that a name can stand for. Tools on Windows write \ between folders.
// The path on another machine can mean a file of that base name beside the image.
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

// open opens path, which is absolute or relative to the folder from inside the root.
func (d *Folder) open(from, path string) (*luksimg.OtherFile, error) {
	if protocol.MatchString(path) || strings.ContainsRune(path, 0) {
		return nil, fmt.Errorf("%q: %w", path, ErrOutside)
	}
	rel := filepath.Join(from, path)
	if filepath.IsAbs(path) {
		dir, err := filepath.Abs(d.root.Name())
		if err == nil {
			rel, err = filepath.Rel(dir, path)
		}
		if err != nil {
			return nil, fmt.Errorf("%q: %w", path, ErrOutside)
		}
	}
	if !filepath.IsLocal(rel) {
		return nil, fmt.Errorf("%q: %w", path, ErrOutside)
	}
	// Opening a file that is not regular, such as a FIFO, could block.
	fi, err := d.root.Stat(rel)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("%q: %w", path, fs.ErrNotExist)
		}
		return nil, fmt.Errorf("%q: %w: %w", path, ErrOutside, err)
	}
	if !fi.Mode().IsRegular() {
		return nil, fmt.Errorf("%q: %w", path, ErrOutside)
	}
	f, err := d.root.Open(rel)
	if err != nil {
		return nil, err
	}
	d.mu.Lock()
	d.files = append(d.files, f)
	d.mu.Unlock()
	if d.Opened != nil {
		if err := d.Opened(f); err != nil {
			return nil, err
		}
	}
	return &luksimg.OtherFile{ReaderAt: f, Size: fi.Size(), ID: rel}, nil
}
