// Package copyout copies files and folders from a filesystem in an image to one of this system.
//
// The image can be hostile. Whatever names and symbolic links it has, the package creates nothing
// outside of the destination. It creates no devices, pipes or sockets, and sets only permission bits.
// The destination appears under its name when it is complete and synced.
package copyout

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/luksimg/luksimg/contents/files"
	"github.com/luksimg/luksimg/image"
	"github.com/luksimg/luksimg/internal/fsys"
	"github.com/luksimg/luksimg/internal/output"
)

// ErrTooMuch means that the files have more data than Options.MaxBytes.
var ErrTooMuch = errors.New("too much data")

// ErrTaken means that the destination of a folder exists.
var ErrTaken = errors.New("exists, and a folder cannot replace it")

// Options control a copy.
type Options struct {
	// MaxBytes limits the data that is copied, not counting holes. Files can share blocks, so a small
	// image can claim any amount of data.
	MaxBytes int64

	// Force replaces a file of the same name. A folder is never replaced.
	Force bool

	// Skipped, if not nil, is called for each entry that is not a file, folder or symbolic link.
	Skipped func(path string, f *files.File)
}

// Stats count what was created.
type Stats struct {
	Files, Folders, Links int
	Skipped               int
	Bytes                 int64 // of data, without holes
}

// A copier is the state of one call.
type copier struct {
	ctx   context.Context
	o     Options
	stats Stats
	buf   []byte

	top    *os.Root
	linked map[uint64]string // paths of files with several names, by inode
	kept   int               // size of linked, in bytes
	above  []uint64          // inodes of the parent folders
}

func newCopier(ctx context.Context, o Options) *copier {
	return &copier{ctx: ctx, o: o, buf: make([]byte, 1<<20), linked: map[uint64]string{}}
}

// File copies a file to a new one that only the user can read.
func File(ctx context.Context, f *files.File, dst string, o Options) (Stats, error) {
	c := newCopier(ctx, o)
	out, err := output.Create(dst, f.Mode.Perm()&0o700|0o600, o.Force)
	if err != nil {
		return c.stats, err
	}
	defer out.Abort()
	if err := c.content(out, f); err != nil {
		return c.stats, err
	}
	c.stats.Files++
	return c.stats, out.Commit()
}

// Folder copies a folder and everything in it to a new one that only the user can enter. It copies
// symbolic links as they are, and recreates hard links.
func Folder(ctx context.Context, f *files.File, dst string, o Options) (Stats, error) {
	c := newCopier(ctx, o)
	dst = filepath.Clean(dst)
	if _, err := os.Lstat(dst); err == nil {
		return c.stats, fmt.Errorf("%s: %w", dst, ErrTaken)
	}
	dir, base := filepath.Dir(dst), filepath.Base(dst)
	temp, err := os.MkdirTemp(dir, "."+base[:min(len(base), 200)]+".*.luksimg-partial")
	if err != nil {
		return c.stats, err
	}
	defer os.RemoveAll(temp) // does nothing after the rename
	if c.top, err = os.OpenRoot(temp); err != nil {
		return c.stats, err
	}
	err = c.folder(f, c.top, "")
	if err == nil {
		err = syncAll(c.top)
	}
	if err = errors.Join(err, c.top.Close()); err != nil {
		return c.stats, err
	}
	if err := fsys.OS.RenameNew(temp, dst); errors.Is(err, fs.ErrExist) {
		return c.stats, fmt.Errorf("%s: %w", dst, ErrTaken)
	} else if err != nil {
		return c.stats, err
	}
	return c.stats, fsys.OS.SyncDir(dir)
}

// content writes the data of a file and leaves its holes.
func (c *copier) content(w interface {
	io.WriterAt
	Truncate(int64) error
}, f *files.File) error {
	src, err := f.Content()
	if err != nil {
		return err
	}
	for e, err := range image.ExtentsContext(c.ctx, src, 0, src.Size()) {
		if err != nil {
			return err
		}
		if e.Kind != image.Data {
			continue
		}
		if c.stats.Bytes += e.Length; c.stats.Bytes > c.o.MaxBytes {
			return fmt.Errorf("%w: more than %d bytes", ErrTooMuch, c.o.MaxBytes)
		}
		for off := e.Offset; off < e.End(); {
			if c.ctx.Err() != nil {
				return context.Cause(c.ctx)
			}
			p := c.buf[:min(int64(len(c.buf)), e.End()-off)]
			if _, err := image.ReadFull(src, p, off); err != nil {
				return err
			}
			if _, err := w.WriteAt(p, off); err != nil {
				return err
			}
			off += int64(len(p))
		}
	}
	return w.Truncate(src.Size())
}
