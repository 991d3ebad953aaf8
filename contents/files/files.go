// Package files lists and reads the files of ext2, ext3, ext4 and XFS filesystems in disk images,
// without mounting them. The journal is not replayed: what is in it only is not seen.
//
// An image may be hostile. Names are as they are stored, but never "." or "..", and without
// slashes; kinds, sizes and links may be anything. The work of one [FS] is bounded.
package files

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/luksimg/luksimg/contents/internal/bounded"
	"github.com/luksimg/luksimg/contents/internal/ext4"
	"github.com/luksimg/luksimg/contents/internal/tree"
	"github.com/luksimg/luksimg/contents/internal/xfs"
	"github.com/luksimg/luksimg/image"
	"github.com/luksimg/luksimg/internal/advice"
)

// ErrLimit means that more would have to be read than any filesystem needs that is not made to keep
// readers busy.
var ErrLimit = bounded.ErrLimit

// Limits of what is read of one FS, but for the contents of files.
const (
	maxBytes, maxReads = 64 << 30, 1 << 27
	maxDir             = 1 << 30 // bytes of a folder
	maxEntries         = 10 << 20
	maxRuns            = 64 << 20 // of the contents of files
)

// An FS is a filesystem. It and its files are for one goroutine at a time, but for what
// [File.Content] says.
type FS struct {
	src      image.Source
	root     tree.Node
	warnings []string

	entries int

	mu   sync.Mutex // for the contents
	runs int
}

// Open opens the filesystem in src, a partition or a disk without a partition table. Another
// filesystem, or none, is [image.ErrUnsupported], a damaged one [image.ErrFormat]. Nothing is read
// any more after the end of ctx.
func Open(ctx context.Context, src image.Source) (*FS, error) {
	r := bounded.New(ctx, src, src.Size(), maxBytes, maxReads)
	head, err := r.Bytes(0, 2048)
	if err != nil {
		return nil, err
	}
	f := &FS{src: src, entries: maxEntries, runs: maxRuns}
	switch {
	case bytes.HasPrefix(head, []byte("XFSB")):
		x, err := xfs.Open(r)
		if err != nil {
			return nil, mounted(err)
		}
		x.MaxDir = maxDir
		f.warnings = x.Warnings()
		f.root, err = x.Root()
		return f, err
	case len(head) > 1082 && string(head[1080:1082]) == "\x53\xef":
		e, err := ext4.Open(r)
		if err != nil {
			return nil, mounted(err)
		}
		e.MaxDir = maxDir
		f.warnings = e.Warnings()
		f.root, err = e.Root()
		return f, err
	}
	return nil, advice.With(fmt.Errorf("%w: there is no ext2, ext3, ext4 or XFS filesystem", image.ErrUnsupported), "luksimg inspect FILE tells what is on the disk, and in which partitions")
}

// mounted tells who reads a filesystem that has what is not read here.
func mounted(err error) error {
	if errors.Is(err, image.ErrUnsupported) {
		return advice.With(err, "mount it on a system that knows it: luksimg serve gives its disk to one")
	}
	return err
}

// Warnings tells what is odd about the filesystem.
func (f *FS) Warnings() []string { return f.warnings }

// Find returns the file or folder at a path from the root, through symbolic links as a system booted
// from it would go. What is not there is [fs.ErrNotExist].
func (f *FS) Find(path string) (*File, error) {
	n, err := tree.Open(f.root, path)
	if err != nil {
		return nil, err
	}
	return f.file("", n), nil
}
