package main

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// punch frees the storage of a part of a file, which then reads as zeros.
func punch(f *os.File, off, n int64) error {
	err := unix.Fallocate(int(f.Fd()), unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, off, n)
	if errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.ENOSYS) || errors.Is(err, unix.ENODEV) {
		return fmt.Errorf("%s: %w", f.Name(), errors.ErrUnsupported)
	}
	return os.NewSyscallError("fallocate", err)
}
