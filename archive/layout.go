package archive

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"sort"
	"sync"
	"time"

	"github.com/luksimg/luksimg/image"
)

// A Layout presents the folder of an OCI image layout as a tar archive, for [Open] and other readers of
// archives. Files are opened when they are read. Except for Close, its methods are safe for concurrent
// use.
type Layout struct {
	size  int64
	mtime time.Time
	parts []part // in order of offset, without gaps

	// Opened, if not nil, is called for each file that is opened. Its error becomes a read error.
	Opened func(fs.File) error

	fsys fs.FS
	mu   sync.Mutex
	open map[string]*layoutFile
}

// A part of a Layout is a header, a file, or padding.
type part struct {
	off  int64
	b    []byte // the bytes; nil for a file
	name string
	n    int64
}

// A layoutFile is a file that is opened on demand.
type layoutFile struct {
	fs.File
	io.ReaderAt
}

// OpenLayout opens the image layout in fsys. It uses only oci-layout, index.json and the files in
// blobs. fsys must not lead out of the folder; see [os.Root.FS]. Its files must implement io.ReaderAt.
func OpenLayout(ctx context.Context, fsys fs.FS) (*Layout, error) {
	l := &Layout{fsys: fsys, open: map[string]*layoutFile{}}
	names := []string{"oci-layout", "index.json"}
	algorithms, err := fs.ReadDir(fsys, "blobs")
	if err != nil {
		return nil, fmt.Errorf("no OCI image layout: %w", err)
	}
	for _, a := range algorithms {
		if !a.IsDir() {
			continue
		}
		blobs, err := fs.ReadDir(fsys, path.Join("blobs", a.Name()))
		if err != nil {
			return nil, err
		}
		for _, b := range blobs {
			names = append(names, path.Join("blobs", a.Name(), b.Name()))
		}
	}
	if len(names) > maxMembers {
		return nil, fmt.Errorf("%w: an image layout with %d files", image.ErrUnsupported, len(names))
	}
	for _, name := range names {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		fi, err := fs.Stat(fsys, name)
		if err != nil {
			return nil, fmt.Errorf("no OCI image layout: %w", err)
		}
		if fi.Mode().IsRegular() {
			if err := l.add(name, fi.Size()); err != nil {
				return nil, err
			}
			if fi.ModTime().After(l.mtime) {
				l.mtime = fi.ModTime()
			}
		}
	}
	l.append(part{b: make([]byte, 2*blockSize)})
	return l, nil
}

// add appends a file as a member.
func (l *Layout) add(name string, size int64) error {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	if err := w.WriteHeader(&tar.Header{Name: name, Size: size, Mode: 0o644, Typeflag: tar.TypeReg}); err != nil {
		return fmt.Errorf("%q: %w", name, err)
	}
	l.append(part{b: b.Bytes()})
	l.append(part{name: name, n: size})
	l.append(part{b: make([]byte, roundUp(size)-size)})
	return nil
}

func (l *Layout) append(p part) {
	if p.off = l.size; p.b != nil {
		p.n = int64(len(p.b))
	}
	if p.n > 0 {
		l.parts = append(l.parts, p)
		l.size += p.n
	}
}

// Size returns the length of the archive in bytes.
func (l *Layout) Size() int64 { return l.size }

// ModTime returns the latest modification time of the files, as of [OpenLayout].
func (l *Layout) ModTime() time.Time { return l.mtime }

// ReadAt reads from the archive; see [io.ReaderAt].
func (l *Layout) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 {
		return 0, errors.New("read at a negative offset")
	}
	done := 0
	for i := sort.Search(len(l.parts), func(i int) bool { return l.parts[i].off+l.parts[i].n > off }); i < len(l.parts) && done < len(p); i++ {
		x := l.parts[i]
		at := off + int64(done) - x.off
		want := p[done:][:min(x.n-at, int64(len(p)-done))]
		var r io.ReaderAt = bytes.NewReader(x.b)
		if x.b == nil {
			f, err := l.file(x.name)
			if err != nil {
				return done, err
			}
			r = f
		}
		n, err := image.ReadFull(r, want, at)
		if done += n; err != nil {
			return done, err
		}
	}
	if done < len(p) {
		return done, io.EOF
	}
	return done, nil
}

// file opens a file, if it is not open yet.
func (l *Layout) file(name string) (io.ReaderAt, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if f := l.open[name]; f != nil {
		return f, nil
	}
	f, err := l.fsys.Open(name)
	if err != nil {
		return nil, err
	}
	if l.Opened != nil {
		if err := l.Opened(f); err != nil {
			f.Close()
			return nil, err
		}
	}
	r, ok := f.(io.ReaderAt)
	if !ok {
		f.Close()
		return nil, fmt.Errorf("%s: %w: it cannot be read at an offset", name, errors.ErrUnsupported)
	}
	l.open[name] = &layoutFile{f, r}
	return r, nil
}

// Close closes the files that were opened.
func (l *Layout) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	var errs []error
	for _, f := range l.open {
		errs = append(errs, f.Close())
	}
	l.open = map[string]*layoutFile{}
	return errors.Join(errs...)
}
