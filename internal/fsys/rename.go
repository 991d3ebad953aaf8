package fsys

import (
	"errors"
	"io/fs"
	"os"
)

// renameUnlessThere implements RenameNew on systems without such a call. It is not atomic: a file
// can appear between the check and the rename.
func renameUnlessThere(from, to string) error {
	if _, err := os.Lstat(to); err == nil {
		return fs.ErrExist
	} else if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return os.Rename(from, to)
}
