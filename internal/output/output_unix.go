//go:build unix

package output

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// lock marks f as in use. It is false if another process removed f before that.
// Where the filesystem has no locks, none is taken, and none is a leftover.
func lock(f *os.File) (bool, error) {
	if err := flock(f); err != nil {
		if errors.Is(err, unix.EWOULDBLOCK) {
			return false, nil
		}
		return true, nil
	}
	var st unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &st); err != nil {
		return false, err
	}
	return st.Nlink > 0, nil
}

func flock(f *os.File) error {
	return unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
}

// Lock keeps other runs from changing an open file. It ends when the file is closed.
// Where the filesystem has no locks it does nothing.
func Lock(f *os.File) error {
	if err := flock(f); errors.Is(err, unix.EWOULDBLOCK) {
		return ErrLocked
	}
	return nil
}

// removeUnlocked removes a temporary file unless a run that still goes on has it.
func removeUnlocked(name string) {
	f, err := os.OpenFile(name, os.O_RDWR|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return
	}
	defer f.Close()
	if flock(f) == nil {
		os.Remove(name)
	}
}

// remove removes an open file; first, so that no other run finds it unlocked.
func remove(f *os.File) {
	os.Remove(f.Name())
	f.Close()
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	// Some filesystems can not; then the renaming is as durable as it gets.
	if err := d.Sync(); err != nil && !errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.ENOTSUP) {
		return err
	}
	return nil
}
