//go:build !linux

package main

// hideMemory does nothing: only Linux is supported.
func hideMemory() {}
