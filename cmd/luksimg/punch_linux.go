package main

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// punch frees the storage of a range of a file, which then reads as zeros.
func punch(f *os.File, off, n int64) error {
	err := unix.Fallocate(int(f.Fd()), unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, off, n)
	switch err {
	case unix.EOPNOTSUPP, unix.ENOSYS, unix.ENODEV,
		unix.EINVAL: // not aligned to the sectors of a block device
		return fmt.Errorf("%s: %w", f.Name(), errors.ErrUnsupported)
	}
	return os.NewSyscallError("fallocate", err)
}
