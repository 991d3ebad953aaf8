//go:build !linux

// Package hide protects the memory of the process, which holds keys, from other processes.
package hide

// Memory does nothing: only Linux is supported.
func Memory() {}
