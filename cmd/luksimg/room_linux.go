package main

import "golang.org/x/sys/unix"

// freeRoom returns how many bytes may be written to a folder, if that can be found out.
func freeRoom(dir string) (int64, bool) {
	var s unix.Statfs_t
	if err := unix.Statfs(dir, &s); err != nil || s.Bsize <= 0 {
		return 0, false
	}
	block := int64(s.Bsize) // of 32 bits on some CPUs
	return int64(min(s.Bavail, 1<<62/uint64(block))) * block, true
}
