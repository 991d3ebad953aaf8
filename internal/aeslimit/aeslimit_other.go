//go:build !amd64 || purego

package aeslimit

// loops returns nil: the assembly is for amd64 only.
func loops() []Loop { return nil }

func canCopy() bool { return false }

func copy512(_, _ *byte, _ int) {}
