//go:build !purego

package xts

import (
	"slices"
	"unsafe"

	"golang.org/x/sys/cpu"
)

// path is an instruction set that has assembly.
type path int

const (
	avx512       path = iota + 1 // VAES on 64 bytes
	skewed                       // VAES on 64 bytes with the loops of xts/_asm/skewed.go
	skewedStream                 // skewed, bypassing the caches; see forBuffers
	avx2                         // VAES on 32 bytes, see xts/_asm/pair.go
	avx2Stream                   // avx2, bypassing the caches
	avx                          // AES-NI
)

//go:generate go -C _asm run .

//go:noescape
func tweaksAVX512(k *roundKeys, rounds int, masks *[16]byte, n int, c *counters)

//go:noescape
func tweaksAVX2(k *roundKeys, rounds int, masks *[16]byte, n int, c *counters)

//go:noescape
func tweaksAVX(k *roundKeys, rounds int, masks *[16]byte, n int, c *counters)

//go:noescape
func encryptAVX512(s *schedule, rounds int, dst, src *byte, masks *[16]byte, units, groups int)

//go:noescape
func decryptAVX512(s *schedule, rounds int, dst, src *byte, masks *[16]byte, units, groups int)

//go:noescape
func encryptSkewed(s *wideSchedule, loop skewedLoop, dst, src *byte, masks *[16]byte, units, groups int)

//go:noescape
func decryptSkewed(s *wideSchedule, loop skewedLoop, dst, src *byte, masks *[16]byte, units, groups int)

//go:noescape
func encryptSkewedStream(s *wideSchedule, loop skewedLoop, dst, src *byte, masks *[16]byte, units, groups int)

//go:noescape
func decryptSkewedStream(s *wideSchedule, loop skewedLoop, dst, src *byte, masks *[16]byte, units, groups int)

//go:noescape
func encryptAVX2(s *schedule, rounds int, dst, src *byte, masks *[16]byte, units, groups int)

//go:noescape
func decryptAVX2(s *schedule, rounds int, dst, src *byte, masks *[16]byte, units, groups int)

//go:noescape
func encryptAVX2Stream(s *schedule, rounds int, dst, src *byte, masks *[16]byte, units, groups int)

//go:noescape
func decryptAVX2Stream(s *schedule, rounds int, dst, src *byte, masks *[16]byte, units, groups int)

//go:noescape
func encryptAVX(s *schedule, rounds int, dst, src *byte, masks *[16]byte, units, groups int)

//go:noescape
func decryptAVX(s *schedule, rounds int, dst, src *byte, masks *[16]byte, units, groups int)

// needsWide reports whether the path reads the wide schedules.
func (p path) needsWide() bool { return p == skewed }

// lanes returns the number of blocks in a register.
func (p path) lanes() int {
	switch p {
	case avx512, skewed, skewedStream:
		return 4
	case avx2, avx2Stream:
		return 2
	default:
		return 1
	}
}

// groupSize returns the number of bytes that the assembly processes at a time, in eight registers.
func (p path) groupSize() int { return 8 * blockSize * p.lanes() }

// runTweaks encrypts the next n tweaks of c to masks, whose length is a multiple of
// maskBatch.
func (k *simd) runTweaks(masks *mask, n int, c *counters) {
	switch k.path {
	case avx512, skewed:
		tweaksAVX512(&k.tweak, k.rounds, masks, n, c)
	case avx2:
		tweaksAVX2(&k.tweak, k.rounds, masks, n, c)
	default:
		tweaksAVX(&k.tweak, k.rounds, masks, n, c)
	}
}

// streamSize is the length from which a run that is not in place bypasses the caches, because they
// cannot hold it. Tests set it.
var streamSize = 64 << 20

// forBuffers returns the path for a long run. The stream path needs a dst that is not src and that is
// aligned for its stores. A cache could not hold so much data for the next reader.
func (p path) forBuffers(dst, src []byte) path {
	stream, align := p, uintptr(1)
	switch p {
	case skewed:
		stream, align = skewedStream, 64
	case avx2:
		stream, align = avx2Stream, 32
	}
	if len(src) >= streamSize && &dst[0] != &src[0] && uintptr(unsafe.Pointer(&dst[0]))%align == 0 {
		return stream
	}
	return p
}

// skewedMin is the number of groups from which the skewed loops are faster, because they need one more
// iteration than there are groups.
const skewedMin = 4

// run encrypts or decrypts n data units of unit bytes with path p. The units are whole strides, and
// masks has one mask for each.
func (k *simd) run(p path, decrypt bool, dst, src *byte, masks *mask, n, unit int) {
	groups := unit / p.groupSize()
	if (p == skewed || p == skewedStream) && n*groups < skewedMin {
		p = avx512
	}
	switch {
	case p == skewed && !decrypt:
		encryptSkewed(k.wide.enc(), k.wide.loop, dst, src, masks, n, groups)
	case p == skewed:
		decryptSkewed(k.wide.dec(), k.wide.loop, dst, src, masks, n, groups)
	case p == skewedStream && !decrypt:
		encryptSkewedStream(k.wide.enc(), k.wide.loop, dst, src, masks, n, groups)
	case p == skewedStream:
		decryptSkewedStream(k.wide.dec(), k.wide.loop, dst, src, masks, n, groups)
	case p == avx512 && !decrypt:
		encryptAVX512(&k.enc, k.rounds, dst, src, masks, n, groups)
	case p == avx512:
		decryptAVX512(&k.dec, k.rounds, dst, src, masks, n, groups)
	case p == avx2 && !decrypt:
		encryptAVX2(&k.enc, k.rounds, dst, src, masks, n, groups)
	case p == avx2:
		decryptAVX2(&k.dec, k.rounds, dst, src, masks, n, groups)
	case p == avx2Stream && !decrypt:
		encryptAVX2Stream(&k.enc, k.rounds, dst, src, masks, n, groups)
	case p == avx2Stream:
		decryptAVX2Stream(&k.dec, k.rounds, dst, src, masks, n, groups)
	case !decrypt:
		encryptAVX(&k.enc, k.rounds, dst, src, masks, n, groups)
	default:
		decryptAVX(&k.dec, k.rounds, dst, src, masks, n, groups)
	}
}

// features are the requirements of the paths on the CPU and the operating system, which must save the
// wide registers.
type features struct {
	aes, pclmulqdq, avx, avx2, vaes, vpclmulqdq, avx512f, avx512bw bool

	amd bool // whether the CPU is made by AMD
}

// cpuid executes the instruction. The CPU must have the leaf.
//
//go:noescape
func cpuid(leaf, subleaf uint32) (eax, ebx, ecx, edx uint32)

func detect() features {
	f := features{
		aes:       cpu.X86.HasAES,
		pclmulqdq: cpu.X86.HasPCLMULQDQ,
		// The next four are set only if the operating system saves the registers.
		avx:      cpu.X86.HasAVX,
		avx2:     cpu.X86.HasAVX2,
		avx512f:  cpu.X86.HasAVX512F,
		avx512bw: cpu.X86.HasAVX512BW,
	}
	if f.avx2 { // the CPU has leaf 7
		// Package cpu reports the next two only together with AVX-512.
		_, _, ecx, _ := cpuid(7, 0)
		f.vaes = ecx&(1<<9) != 0
		f.vpclmulqdq = ecx&(1<<10) != 0
	}
	_, b, c, d := cpuid(0, 0)
	f.amd = b == 0x68747541 && d == 0x69746e65 && c == 0x444d4163 // AuthenticAMD
	return f
}

// simdImplementations lists the paths that features allow, fastest first. Which of the two AVX-512
// paths is faster depends on how far ahead a CPU looks for work. The maker of the CPU decides, not a
// measurement at start, which a busy neighbour could distort. (On Zen 5 the skewed path is 1.15 to 1.21
// times as fast.)
func simdImplementations(f features) []implementation {
	var list []implementation
	if f.avx512f && f.avx512bw && f.vaes && f.vpclmulqdq {
		list = append(list, implementation{"vaes-avx512", newSIMD(avx512)},
			implementation{"vaes-avx512-skewed", newSIMD(skewed)})
		if f.amd {
			slices.Reverse(list)
		}
	}
	if f.avx2 && f.vaes && f.vpclmulqdq {
		list = append(list, implementation{"vaes-avx2", newSIMD(avx2)})
	}
	if f.aes && f.pclmulqdq && f.avx {
		list = append(list, implementation{"aesni-avx", newSIMD(avx)})
	}
	return list
}
