package files

import (
	"fmt"
	"io/fs"
	"iter"
	"strings"
	"time"

	"github.com/luksimg/luksimg/contents/internal/tree"
	"github.com/luksimg/luksimg/image"
)

// A File is a file, a folder, a symbolic link or a special file, with the values of its inode.
type File struct {
	Name    string // name in the listed folder; "" if it was found by path
	Inode   uint64
	Mode    fs.FileMode // permissions and kind
	UID     uint32
	GID     uint32
	Links   uint32
	Size    int64 // bytes
	ModTime time.Time

	fs   *FS
	node tree.Node
}

func (f *FS) file(name string, n tree.Node) *File {
	a := n.Attr()
	return &File{Name: name, Inode: a.Number, Mode: mode(a.Mode), UID: a.UID, GID: a.GID, Links: a.Links, Size: a.Size, ModTime: a.ModTime, fs: f, node: n}
}

// mode converts a POSIX mode.
func mode(posix uint16) fs.FileMode {
	m := fs.FileMode(posix & 0o777)
	for bit, flag := range map[uint16]fs.FileMode{0o4000: fs.ModeSetuid, 0o2000: fs.ModeSetgid, 0o1000: fs.ModeSticky} {
		if posix&bit != 0 {
			m |= flag
		}
	}
	switch posix & 0o170000 {
	case 0o100000:
	case 0o040000:
		m |= fs.ModeDir
	case 0o120000:
		m |= fs.ModeSymlink
	case 0o060000:
		m |= fs.ModeDevice
	case 0o020000:
		m |= fs.ModeDevice | fs.ModeCharDevice
	case 0o010000:
		m |= fs.ModeNamedPipe
	case 0o140000:
		m |= fs.ModeSocket
	default:
		m |= fs.ModeIrregular
	}
	return m
}

// Entries yields the entries of a folder in the order in which they are stored. For an entry that
// cannot be read, it yields an error with a File that has only its name; more entries can follow.
// An error without a File is the last one.
func (f *File) Entries() iter.Seq2[*File, error] {
	return func(yield func(*File, error) bool) {
		more := true
		var limit error
		err := f.node.Entries(func(name string, open func() (tree.Node, error)) bool {
			if name == "." || name == ".." {
				return true
			}
			if f.fs.entries--; f.fs.entries < 0 {
				limit = fmt.Errorf("more than %d files: %w", maxEntries, ErrLimit)
				return false
			}
			if name == "" || strings.ContainsAny(name, "/\x00") {
				more = yield(&File{Name: name}, fmt.Errorf("%w: %q is not the name of a file", image.ErrFormat, name))
				return more
			}
			n, err := open()
			if err != nil {
				more = yield(&File{Name: name}, err)
			} else {
				more = yield(f.fs.file(name, n), nil)
			}
			return more
		})
		if limit != nil {
			err = limit
		}
		if err != nil && more {
			yield(nil, err)
		}
	}
}

// Target returns the target of a symbolic link, as stored.
func (f *File) Target() (string, error) {
	if f.Mode&fs.ModeSymlink == 0 {
		return "", fs.ErrInvalid
	}
	const most = 4096 // PATH_MAX
	b, err := f.node.Content(most)
	return string(b), err
}
