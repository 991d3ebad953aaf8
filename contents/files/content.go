package files

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"

	"github.com/luksimg/luksimg/contents/internal/tree"
	"github.com/luksimg/luksimg/image"
)

// A Content is the content of a file: an [image.Source] that reports the file's holes.
type Content struct{ f *File }

// Content returns the content of a regular file. It fails with [fs.ErrInvalid] for any other file.
// The Content is safe for concurrent use while the filesystem is not used otherwise.
func (f *File) Content() (*Content, error) {
	if !f.Mode.IsRegular() {
		return nil, fmt.Errorf("not a regular file: %w", fs.ErrInvalid)
	}
	return &Content{f}, nil
}

// Size returns the length of the file in bytes.
func (c *Content) Size() int64 { return c.f.Size }

// run returns the run of the file at an offset. It merges runs that are contiguous on the disk, up
// to a length of most.
func (c *Content) run(off, most int64) (tree.Run, error) {
	c.f.fs.mu.Lock()
	defer c.f.fs.mu.Unlock()
	var all tree.Run
	for all.Length < most && off+all.Length < c.f.Size {
		if c.f.fs.runs--; c.f.fs.runs < 0 {
			return tree.Run{}, fmt.Errorf("more than %d runs of files: %w", maxRuns, ErrLimit)
		}
		r, err := c.f.node.Run(off + all.Length)
		switch {
		case err != nil:
			return tree.Run{}, err
		case all.Length == 0:
			all = r
		case r.Hole && all.Hole, r.Inode == nil && !r.Hole && all.Inode == nil && !all.Hole && r.At == all.At+all.Length:
			all.Length += r.Length
		default:
			return all, nil
		}
	}
	return all, nil
}

// ReadAt reads the file; see [io.ReaderAt].
func (c *Content) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 {
		return 0, errors.New("negative read offset")
	}
	done := 0
	for done < len(p) && off+int64(done) < c.f.Size {
		at := off + int64(done)
		r, err := c.run(at, int64(len(p)-done))
		if err != nil {
			return done, err
		}
		part := p[done:][:min(int64(len(p)-done), r.Length)]
		switch size := c.f.fs.src.Size(); {
		case r.Hole:
			clear(part)
		case r.Inode != nil:
			copy(part, r.Inode)
		case r.At > size || int64(len(part)) > size-r.At:
			return done, fmt.Errorf("%w: %d bytes of the file at %d are past the end of the disk or partition at %d", image.ErrFormat, r.Length, r.At, size)
		default:
			if n, err := image.ReadFull(c.f.fs.src, part, r.At); err != nil {
				return done + n, err
			}
		}
		done += len(part)
	}
	if done < len(p) {
		return done, io.EOF
	}
	return done, nil
}

// Extents implements [image.Extenter], clipped to the file.
func (c *Content) Extents(off, n int64) iter.Seq2[image.Extent, error] {
	off = min(max(off, 0), c.f.Size)
	end := off + min(max(n, 0), c.f.Size-off)
	return func(yield func(image.Extent, error) bool) {
		for off := off; off < end; {
			r, err := c.run(off, min(end-off, 64<<20))
			if err != nil {
				yield(image.Extent{}, err)
				return
			}
			e := image.Extent{Offset: off, Length: min(r.Length, end-off)}
			if r.Hole {
				e.Kind = image.Hole
			}
			if !yield(e, nil) {
				return
			}
			off = e.End()
		}
	}
}
