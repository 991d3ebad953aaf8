//go:build !linux

package main

// freeRoom is for systems that are not asked.
func freeRoom(string) (int64, bool) { return 0, false }
