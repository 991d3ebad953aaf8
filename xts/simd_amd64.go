//go:build !purego

package xts

import "golang.org/x/sys/cpu"

// path is a set of instructions that there is assembly for.
type path int

const (
	avx512 path = iota + 1 // VAES on 64 bytes
	avx2                   // VAES on 32 bytes
	avx                    // AES-NI
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
func encryptAVX2(s *schedule, rounds int, dst, src *byte, masks *[16]byte, units, groups int)

//go:noescape
func decryptAVX2(s *schedule, rounds int, dst, src *byte, masks *[16]byte, units, groups int)

//go:noescape
func encryptAVX(s *schedule, rounds int, dst, src *byte, masks *[16]byte, units, groups int)

//go:noescape
func decryptAVX(s *schedule, rounds int, dst, src *byte, masks *[16]byte, units, groups int)

// lanes is how many blocks a register holds.
func (p path) lanes() int {
	switch p {
	case avx512:
		return 4
	case avx2:
		return 2
	default:
		return 1
	}
}

// groupSize is how much assembly does at a time, in eight registers.
func (p path) groupSize() int { return 8 * blockSize * p.lanes() }

// runTweaks encrypts the next n tweaks of c to masks, whose length is a multiple of
// maskBatch.
func (k *simd) runTweaks(masks *mask, n int, c *counters) {
	switch k.path {
	case avx512:
		tweaksAVX512(&k.tweak, k.rounds, masks, n, c)
	case avx2:
		tweaksAVX2(&k.tweak, k.rounds, masks, n, c)
	default:
		tweaksAVX(&k.tweak, k.rounds, masks, n, c)
	}
}

// run encrypts or decrypts n data units of unit bytes, which are whole strides, with
// a mask for each of them.
func (k *simd) run(decrypt bool, dst, src *byte, masks *mask, n, unit int) {
	groups := unit / k.path.groupSize()
	switch {
	case k.path == avx512 && !decrypt:
		encryptAVX512(&k.enc, k.rounds, dst, src, masks, n, groups)
	case k.path == avx512:
		decryptAVX512(&k.dec, k.rounds, dst, src, masks, n, groups)
	case k.path == avx2 && !decrypt:
		encryptAVX2(&k.enc, k.rounds, dst, src, masks, n, groups)
	case k.path == avx2:
		decryptAVX2(&k.dec, k.rounds, dst, src, masks, n, groups)
	case !decrypt:
		encryptAVX(&k.enc, k.rounds, dst, src, masks, n, groups)
	default:
		decryptAVX(&k.dec, k.rounds, dst, src, masks, n, groups)
	}
}

// features are what the paths need of the CPU and of the operating system, which
// has to save the wide registers.
type features struct {
	aes, pclmulqdq, avx, avx2, vaes, vpclmulqdq, avx512f, avx512bw bool
}

// cpuid7 returns ECX of CPUID leaf 7. The CPU must have that leaf.
//
//go:noescape
func cpuid7() (ecx uint32)

func detect() features {
	f := features{
		aes:       cpu.X86.HasAES,
		pclmulqdq: cpu.X86.HasPCLMULQDQ,
		// The following four are set only if the operating system saves the
		// registers.
		avx:      cpu.X86.HasAVX,
		avx2:     cpu.X86.HasAVX2,
		avx512f:  cpu.X86.HasAVX512F,
		avx512bw: cpu.X86.HasAVX512BW,
	}
	if f.avx2 { // which is a bit of leaf 7
		// The package cpu knows the next two only together with AVX-512.
		ecx := cpuid7()
		f.vaes = ecx&(1<<9) != 0
		f.vpclmulqdq = ecx&(1<<10) != 0
	}
	return f
}

// simdImplementations lists the paths that features allow, fastest first.
func simdImplementations(f features) []implementation {
	var list []implementation
	if f.avx512f && f.avx512bw && f.vaes && f.vpclmulqdq {
		list = append(list, implementation{"vaes-avx512", newSIMD(avx512)})
	}
	if f.avx2 && f.vaes && f.vpclmulqdq {
		list = append(list, implementation{"vaes-avx2", newSIMD(avx2)})
	}
	if f.aes && f.pclmulqdq && f.avx {
		list = append(list, implementation{"aesni-avx", newSIMD(avx)})
	}
	return list
}
