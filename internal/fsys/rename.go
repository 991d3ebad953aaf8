package fsys

import (
	"errors"
	"io/fs"
	"os"
)

// renameUnlessThere is RenameNew where the system has no such call: there is a moment
// between the look and the renaming.
func renameUnlessThere(from, to string) error {
	if _, err := os.Lstat(to); err == nil {
		return fs.ErrExist
	} else if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return os.Rename(from, to)
}
