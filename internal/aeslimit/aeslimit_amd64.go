//go:build !purego

package aeslimit

import "golang.org/x/sys/cpu"

// Each function runs 2n rounds on twelve registers.

//go:noescape
func rounds512(n int)

//go:noescape
func rounds256(n int)

//go:noescape
func rounds128(n int)

// copy512 runs 14 rounds on twelve registers n times, and copies as many bytes.
//
//go:noescape
func copy512(dst, src *byte, n int)

// hasVAES reports whether the CPU has VAES, because package cpu reports VAES only together with
// AVX-512. The CPU must have AVX2.
func hasVAES() bool

// canCopy reports whether the CPU supports copy512 and rounds512.
func canCopy() bool { return cpu.X86.HasAVX512VAES && cpu.X86.HasAVX512F }

// loops returns the loops that this CPU supports, fastest first.
func loops() []Loop {
	var list []Loop
	if canCopy() {
		list = append(list, Loop{"limit-vaes512", rounds512, 12 * 64})
	}
	if cpu.X86.HasAVX2 && hasVAES() {
		list = append(list, Loop{"limit-vaes256", rounds256, 12 * 32})
	}
	if cpu.X86.HasAES && cpu.X86.HasAVX {
		list = append(list, Loop{"limit-aesni", rounds128, 12 * 16})
	}
	return list
}
