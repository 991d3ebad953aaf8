// Package files lists and reads the files of ext2, ext3, ext4 and XFS filesystems in disk images,
// without mounting them. It does not replay the journal, so changes that are only in the journal
// are missing.
//
// An image can be hostile. Names are as stored, but never "." or "..", and never contain a slash.
// Kinds, sizes and links can have any value. The work of one [FS] is bounded.
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

// ErrLimit means that the reads exceed the limits. Only a filesystem that was made to exhaust its
// readers needs so many.
var ErrLimit = bounded.ErrLimit

// Limits of the reads of one FS, except for the contents of files.
const (
	maxBytes, maxReads = 64 << 30, 1 << 27
	maxDir             = 1 << 30 // maximum size of a folder in bytes
	maxEntries         = 10 << 20
	maxRuns            = 64 << 20 // runs of the contents of files
)

// An FS is a filesystem. It and its files are not safe for concurrent use, except as described at
// [File.Content].
type FS struct {
	src      image.Source
	root     tree.Node
	warnings []string

	entries int

	mu   sync.Mutex // guards reads of contents
	runs int
}

// Open opens the filesystem in src, a partition or a disk without a partition table. If the
// filesystem is unsupported or missing, the error is [image.ErrUnsupported]; if it is damaged,
// [image.ErrFormat]. All reads fail once ctx is done.
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
	return nil, advice.With(fmt.Errorf("%w: no ext2, ext3, ext4 or XFS filesystem", image.ErrUnsupported), "luksimg inspect FILE shows the contents of the disk, and in which partitions")
}

// mounted adds the advice to mount a filesystem with unsupported features.
func mounted(err error) error {
	if errors.Is(err, image.ErrUnsupported) {
		return advice.With(err, "mount it on a system that knows it: luksimg serve gives its disk to one")
	}
	return err
}

// Warnings describes oddities of the filesystem.
func (f *FS) Warnings() []string { return f.warnings }

// Find returns the file or folder at a path from the root. It follows symbolic links as a system
// booted from the disk would. If there is no such file, the error is [fs.ErrNotExist].
func (f *FS) Find(path string) (*File, error) {
	n, err := tree.Open(f.root, path)
	if err != nil {
		return nil, err
	}
	return f.file("", n), nil
}
