//go:build !linux

// Package hide keeps the memory of the process, where keys are, from others.
package hide

// Memory does nothing where there is nothing like it.
func Memory() {}
