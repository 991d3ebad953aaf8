package main

import "golang.org/x/sys/unix"

// freeRoom returns the free space of a folder in bytes, and whether it is known.
func freeRoom(dir string) (int64, bool) {
	var s unix.Statfs_t
	if err := unix.Statfs(dir, &s); err != nil || s.Bsize <= 0 {
		return 0, false
	}
	block := uint64(s.Bsize)
	return int64(min(s.Bavail, 1<<62/block) * block), true
}
