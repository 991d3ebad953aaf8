//go:build !purego

// Package limit runs AES instructions alone, without memory: the most that a CPU can
// do, to compare kernels with.
package limit

import "golang.org/x/sys/cpu"

// Each does 2n rounds on eight registers.

//go:noescape
func rounds512(n int)

//go:noescape
func rounds256(n int)

//go:noescape
func rounds128(n int)

// A Loop is one size of register.
type Loop struct {
	Name  string
	run   func(n int)
	bytes int // in eight registers
}

// Loops lists the loops that this CPU can run, the fastest first.
func Loops() []Loop {
	var loops []Loop
	if cpu.X86.HasAVX512VAES && cpu.X86.HasAVX512F {
		loops = append(loops,
			Loop{"limit-vaes512", rounds512, 512},
			Loop{"limit-vaes256", rounds256, 256})
	}
	if cpu.X86.HasAES && cpu.X86.HasAVX {
		loops = append(loops, Loop{"limit-aesni", rounds128, 128})
	}
	return loops
}

// Run does the AES rounds of size bytes under a key of keyBits.
func (l Loop) Run(size, keyBits int) {
	rounds := keyBits/32 + 6
	l.run(size / l.bytes * rounds / 2)
}
