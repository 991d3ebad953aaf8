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
	// Stat returns the current properties of the source. A missing source is an error that matches
	// [fs.ErrNotExist] or, for an object, [github.com/luksimg/luksimg/ibm/cos.ErrNotFound].
	Stat func(ctx context.Context) (Stamp, error)
	// Open opens the source. It is called more than once.
	Open func(ctx context.Context) (*Disk, error)
}

// A Stamp holds the properties that reveal a change of the source.
type Stamp struct {
	Size int64
	Time time.Time
	ETag string // of an object or an https:// resource

	// Checksum is the required digest of the source, or "". Open of the [Source]
	// enforces it.
	Checksum string
}

// A Disk is an opened source.
type Disk struct {
	*luksimg.Image
	Unchanged func() error            // returns an error if the source has changed since it was opened
	Encrypted func(r *luksimg.Result) // if not nil, is called with the result of the encryption
	Close     func()
}

// Files stores the image, the envelope and the key.
type Files interface {
	// Open opens a regular file. If it does not exist, the error matches [fs.ErrNotExist].
	Open(name string) (File, error)
	// Create starts a new file. If it exists, the error matches [fs.ErrExist].
	Create(name string, perm fs.FileMode) (Output, error)
	Remove(name string) error
}

// A File is a file opened for reading.
type File interface {
	io.ReaderAt
	io.Closer
	Size() int64
}

// An Output is a file that appears under its name on Commit. Abort after Commit does nothing.
type Output interface {
	io.Writer
	io.WriterAt
	Commit() error
	Abort()
}

// Local implements [Files] with the local filesystem.
type Local struct{}

type localFile struct {
	*os.File
	size int64
}

func (f localFile) Size() int64 { return f.size }

// Open implements [Files].
func (Local) Open(name string) (File, error) {
	fi, err := os.Stat(name) // opening a special file could block
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

// Lock locks the deployment with the given state file against other processes, until
// unlock is called.
func (Local) Lock(state string) (unlock func(), err error) {
	unlock, err = output.LockName(state + ".lock")
	if errors.Is(err, output.ErrLocked) {
		err = rest.WithHint(fmt.Errorf("%s: another process is running this deployment", state), "wait until it has ended")
	}
	return unlock, err
}

// Source returns the source for an image file of any supported format that needs no other file.
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
					err = fmt.Errorf("%s changed while it was being read", name)
				}
				return err
			}}, nil
		},
	}
}
