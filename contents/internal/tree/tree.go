// Package tree finds files by path in a filesystem that is not mounted. It follows symbolic links
// as a system booted from it would.
package tree

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"time"
)

// Kind is the kind of a [Node].
type Kind uint8

// The kinds that are distinguished.
const (
	Other Kind = iota // a device, a socket, a pipe
	File
	Dir
	Link
)

// A Node is an inode.
type Node interface {
	Kind() Kind

	// Lookup returns the entry of a directory, or [fs.ErrNotExist].
	Lookup(name string) (Node, error)

	// Content returns at most limit bytes of a file, or the target of a symbolic link.
	Content(limit int) ([]byte, error)

	// Attr returns the attributes of the inode.
	Attr() Attr

	// Entries calls visit for each entry of a directory, in the order in which they are stored,
	// until it returns false. Names can have any value, including "." and "..".
	Entries(visit func(name string, open func() (Node, error)) bool) error

	// Run returns the run of a file that starts at an offset, which must be less than its size.
	Run(off int64) (Run, error)
}

// Attr holds the attributes of an inode.
type Attr struct {
	Number          uint64
	Mode            uint16 // as in POSIX
	UID, GID, Links uint32
	Size            int64 // bytes
	ModTime         time.Time
}

// A Run is a part of a file: contiguous bytes on the disk, bytes in the inode, or a hole.
type Run struct {
	At     int64 // bytes from the start of the filesystem, if on the disk
	Length int64 // bytes, at least one
	Hole   bool
	Inode  []byte // the bytes, if they are in the inode
}

const (
	maxLinks  = 40   // as in Linux
	maxTarget = 4096 // PATH_MAX
	maxNames  = 256  // path components, including those of links
	maxDepth  = 64   // directories
)

// ErrLinks means that a path has too many symbolic links or components.
var ErrLinks = errors.New("too many symbolic links")

// Open returns the node at a path from the root. It is [fs.ErrNotExist] if a part of the path does
// not exist or is not a directory.
func Open(root Node, path string) (Node, error) {
	todo := strings.Split(path, "/")
	// Keep the directories of the path: ".." is not always stored, and can be wrong.
	dirs := []Node{root}
	for links, names := 0, 0; len(todo) > 0; {
		name := todo[0]
		todo = todo[1:]
		if names++; names > maxNames {
			return nil, fmt.Errorf("%s: %w", path, ErrLinks)
		}
		here := dirs[len(dirs)-1]
		switch name {
		case "", ".":
			continue
		case "..":
			dirs = dirs[:max(len(dirs)-1, 1)]
			continue
		}
		if here.Kind() != Dir {
			return nil, fmt.Errorf("%s: %w", path, fs.ErrNotExist)
		}
		node, err := here.Lookup(name)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		if node.Kind() == Link {
			if links++; links > maxLinks {
				return nil, fmt.Errorf("%s: %w", path, ErrLinks)
			}
			target, err := node.Content(maxTarget)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", path, err)
			}
			if len(target) > 0 && target[0] == '/' {
				dirs = dirs[:1]
			}
			parts := strings.Split(string(target), "/")
			if len(parts)+len(todo) > maxNames {
				return nil, fmt.Errorf("%s: %w", path, ErrLinks)
			}
			todo = append(parts, todo...)
			continue
		}
		if len(dirs) == maxDepth {
			return nil, fmt.Errorf("%s: %w", path, ErrLinks)
		}
		dirs = append(dirs, node)
	}
	return dirs[len(dirs)-1], nil
}
