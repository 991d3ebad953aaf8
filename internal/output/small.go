package output

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// WriteFile writes a file completely or not at all, and replaces an existing one. It calls [Create]
// with force, Write and [File.Commit].
func WriteFile(name string, b []byte, perm fs.FileMode) error {
	return write(name, b, perm, true)
}

// WriteNew is like WriteFile, but the name must not exist.
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

// ReadOurs reads at most limit bytes that an earlier run of this user wrote with WriteFile. It returns
// nil if the file does not exist. If others could have written the file, the error matches
// [ErrNotOurs].
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

// RefuseLink returns an error that matches [ErrNotOurs] if name is a symbolic link.
func RefuseLink(name string) error {
	if fi, err := system.Lstat(name); err == nil && fi.Mode()&fs.ModeSymlink != 0 {
		return fmt.Errorf("%s: %w: it is a symbolic link", name, ErrNotOurs)
	}
	return nil
}

// Remove removes a file durably. A missing file is not an error.
func Remove(name string) error {
	if err := system.Remove(name); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	}
	return system.SyncDir(filepath.Dir(name))
}
