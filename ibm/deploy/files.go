package deploy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"

	"github.com/luksimg/luksimg"
	"github.com/luksimg/luksimg/internal/output"
	"github.com/luksimg/luksimg/internal/rest"
)

// A Source is the disk to deploy.
type Source struct {
	Name string // for messages
	// Stat tells what the source is like now. One that is gone is [fs.ErrNotExist], or
	// of an object [github.com/luksimg/luksimg/ibm/cos.ErrNotFound].
	Stat func(ctx context.Context) (Stamp, error)
	// Open opens it. It is called more than once.
	Open func(ctx context.Context) (*Disk, error)
}

// A Stamp is what a change of a source is known by.
type Stamp struct {
	Size int64
	Time time.Time
	ETag string // of an object, or of what is at an https:// address

	// Checksum is what the digest of the source must be, for which Open of the [Source] sees; "" if none
	// was given.
	Checksum string
}

// A Disk is a source that was opened.
type Disk struct {
	*luksimg.Image
	Unchanged func() error            // tells whether it is what it was when it was opened
	Encrypted func(r *luksimg.Result) // if not nil, is told what was made of it
	Close     func()
}

// Files are where the image, the envelope and the key are kept.
type Files interface {
	// Open opens a regular file. One that is not there is [fs.ErrNotExist].
	Open(name string) (File, error)
	// Create begins a file, which must not be there: that is [fs.ErrExist].
	Create(name string, perm fs.FileMode) (Output, error)
	Remove(name string) error
}

// A File is one that is read.
type File interface {
	io.ReaderAt
	io.Closer
	Size() int64
}

// An Output is a file that appears with Commit, whole. Abort after it does nothing.
type Output interface {
	io.Writer
	io.WriterAt
	Commit() error
	Abort()
}

// Local has [Files] on the disks of this machine.
type Local struct{}

type localFile struct {
	*os.File
	size int64
}

func (f localFile) Size() int64 { return f.size }

// Open implements [Files].
func (Local) Open(name string) (File, error) {
	fi, err := os.Stat(name) // opening what is no regular file could block
	if err != nil {
		return nil, err
	}
	if !fi.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a regular file", name)
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	return localFile{f, fi.Size()}, nil
}

// Create implements [Files].
func (Local) Create(name string, perm fs.FileMode) (Output, error) {
	return output.Create(name, perm, false)
}

// Remove implements [Files].
func (Local) Remove(name string) error { return os.Remove(name) }

// Lock keeps other runs from working on the deployment whose state is in a file, until the
// returned function is called.
func (Local) Lock(state string) (unlock func(), err error) {
	unlock, err = output.LockName(state + ".lock")
	if errors.Is(err, output.ErrLocked) {
		err = rest.WithHint(fmt.Errorf("%s: another process works on this deployment", state), "wait until it has ended")
	}
	return unlock, err
}

// Source returns the image in a file, of any format that stands alone.
func (Local) Source(name string) Source {
	return Source{Name: name,
		Stat: func(context.Context) (Stamp, error) {
			fi, err := os.Stat(name)
			if err != nil {
				return Stamp{}, err
			}
			return Stamp{Size: fi.Size(), Time: fi.ModTime()}, nil
		},
		Open: func(ctx context.Context) (*Disk, error) {
			f, err := os.Open(name)
			if err != nil {
				return nil, err
			}
			was, err := f.Stat()
			if err != nil {
				return nil, errors.Join(err, f.Close())
			}
			img, err := luksimg.OpenImage(ctx, f, was.Size(), luksimg.ImageOptions{})
			if err != nil {
				return nil, errors.Join(err, f.Close())
			}
			return &Disk{Image: img, Close: func() { img.Close(); f.Close() }, Unchanged: func() error {
				fi, err := f.Stat()
				if err == nil && (fi.Size() != was.Size() || !fi.ModTime().Equal(was.ModTime())) {
					err = fmt.Errorf("%s changed while it was read", name)
				}
				return err
			}}, nil
		},
	}
}
