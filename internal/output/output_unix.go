//go:build unix

package output

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"
)

// ours returns an error if another user could have made or changed the file: the file must belong to
// this user, be writable only by this user, and have a single name.
func ours(fi fs.FileInfo) error {
	if mode := fi.Mode().Perm(); mode&0o022 != 0 {
		return fmt.Errorf("others can write to it: its mode is %#o", mode)
	}
	st, ok := fi.Sys().(*syscall.Stat_t)
	switch {
	case !ok:
	case int(st.Uid) != os.Geteuid():
		return fmt.Errorf("it belongs to the user with ID %d", st.Uid)
	case st.Nlink > 1:
		return errors.New("it has more than one hard link")
	}
	return nil
}
