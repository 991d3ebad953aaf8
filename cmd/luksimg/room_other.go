//go:build !linux

package main

// freeRoom reports that the free space is not known: only Linux is supported.
func freeRoom(string) (int64, bool) { return 0, false }
