//go:build !amd64 || purego

// Package limit runs AES instructions alone, without memory: the most that a CPU can
// do, to compare kernels with.
package limit

// A Loop is one size of register.
type Loop struct{ Name string }

// Loops lists the loops that this CPU can run: none here.
func Loops() []Loop { return nil }

// Run does the AES rounds of size bytes under a key of keyBits.
func (l Loop) Run(size, keyBits int) {}
