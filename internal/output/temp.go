package output

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/luksimg/luksimg/internal/fsys"
)

const randomLength = 16

// createTemp creates a file with a random name. Unlike os.CreateTemp, it sets the final permissions
// from the start.
func createTemp(dir, prefix string, perm fs.FileMode) (fsys.File, error) {
	for {
		var b [randomLength / 2]byte
		rand.Read(b[:])
		name := filepath.Join(dir, prefix+hex.EncodeToString(b[:])+suffix)
		f, err := system.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, perm)
		if e := new(fs.PathError); errors.As(err, &e) {
			e.Path = filepath.Clean(dir) // the random name would not help: the problem is the folder
			if errors.Is(err, fs.ErrNotExist) {
				e.Err = ErrNoFolder
			}
		}
		if !errors.Is(err, fs.ErrExist) {
			return f, err
		}
	}
}
