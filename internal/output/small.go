package output

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// WriteFile writes a file as a whole or not at all, and replaces one that has the name: it
// is [Create] with force, Write and [File.Commit].
func WriteFile(name string, b []byte, perm fs.FileMode) error {
	return write(name, b, perm, true)
}

// WriteNew is WriteFile for a name that must be free.
func WriteNew(name string, b []byte, perm fs.FileMode) error {
	return write(name, b, perm, false)
}

func write(name string, b []byte, perm fs.FileMode, force bool) error {
	f, err := Create(name, perm, force)
	if err != nil {
		return err
	}
	defer f.Abort()
	if _, err := f.Write(b); err != nil {
		return err
	}
	return f.Commit()
}

// ReadOurs reads what an earlier run of this user wrote with WriteFile, at most limit bytes;
// nil if there is none. What others could have written is an error that matches [ErrNotOurs].
func ReadOurs(name string, limit int64) ([]byte, error) {
	f, err := openOurs(name, os.O_RDONLY)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && int64(len(b)) > limit {
		err = fmt.Errorf("%s: longer than %d bytes", name, limit)
	}
	return b, err
}

// RefuseLink returns an error that matches [ErrNotOurs] if name is a link, wherever it leads.
func RefuseLink(name string) error {
	if fi, err := system.Lstat(name); err == nil && fi.Mode()&fs.ModeSymlink != 0 {
		return fmt.Errorf("%s: %w: it is a symbolic link", name, ErrNotOurs)
	}
	return nil
}

// Remove removes a file, durably. It is no error if there is none.
func Remove(name string) error {
	if err := system.Remove(name); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	}
	return system.SyncDir(filepath.Dir(name))
}
