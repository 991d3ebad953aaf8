//go:build unix

package output

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"
)

// ours tells whether a file that is there already is one that nobody else can change: it is
// this user's, nobody else may write to it, and it has no second name.
func ours(fi fs.FileInfo) error {
	if mode := fi.Mode().Perm(); mode&0o022 != 0 {
		return fmt.Errorf("others may write to it: its mode is %#o", mode)
	}
	st, ok := fi.Sys().(*syscall.Stat_t)
	switch {
	case !ok:
	case int(st.Uid) != os.Geteuid():
		return fmt.Errorf("it belongs to the user with number %d", st.Uid)
	case st.Nlink > 1:
		return errors.New("it has a second name")
	}
	return nil
}
