//go:build !purego

package xts

import "golang.org/x/sys/cpu"

// path is an instruction set that has assembly.
type path int

const neon path = 1 // the AES instructions

//go:generate go -C _asm run .

//go:noescape
func tweaksARM64(k *roundKeys, rounds int, masks *[16]byte, n int, c *counters)

//go:noescape
func encryptARM64(s *schedule, rounds int, dst, src *byte, masks *[16]byte, units, groups int)

//go:noescape
func decryptARM64(s *schedule, rounds int, dst, src *byte, masks *[16]byte, units, groups int)

// wide is unused: no path on this architecture needs additional schedules.
type wide struct{}

func newWide(_, _ *schedule, _ int) *wide { return nil }
func (w *wide) wipe()                     {}

func (p path) needsWide() bool { return false }

// lanes returns the number of blocks in a register.
func (p path) lanes() int { return 1 }

// groupSize returns the number of bytes that the assembly processes at a time, in eight registers.
func (p path) groupSize() int { return 8 * blockSize }

// runTweaks encrypts the next n tweaks of c to masks, whose length is a multiple of
// maskBatch.
func (k *simd) runTweaks(masks *mask, n int, c *counters) {
	tweaksARM64(&k.tweak, k.rounds, masks, n, c)
}

// forBuffers returns the path for a long run.
func (p path) forBuffers(_, _ []byte) path { return p }

// run encrypts or decrypts n data units of unit bytes. The units are whole strides, and masks has one
// mask for each.
func (k *simd) run(_ path, decrypt bool, dst, src *byte, masks *mask, n, unit int) {
	groups := unit / k.path.groupSize()
	if decrypt {
		decryptARM64(&k.dec, k.rounds, dst, src, masks, n, groups)
	} else {
		encryptARM64(&k.enc, k.rounds, dst, src, masks, n, groups)
	}
}

// features are the requirements of the path on the CPU.
type features struct{ aes, pmull bool }

func detect() features {
	return features{cpu.ARM64.HasAES, cpu.ARM64.HasPMULL}
}

// simdImplementations lists the paths that features allow, fastest first.
func simdImplementations(f features) []implementation {
	if f.aes && f.pmull {
		return []implementation{{"aes-arm64", newSIMD(neon)}}
	}
	return nil
}
