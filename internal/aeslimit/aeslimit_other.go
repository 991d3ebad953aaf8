//go:build !amd64 || purego

package aeslimit

// loops lists none: the loops are assembly for amd64.
func loops() []Loop { return nil }

func canCopy() bool { return false }

func copy512(_, _ *byte, _ int) {}
