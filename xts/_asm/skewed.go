package main

import "fmt"

// skewedAVX512 makes the second kernel for VAES with AVX-512. It is for CPUs that do not look as far
// ahead as vaesAVX512 requires: AMD's Zen 4 and Zen 5.
//
// These execute AES on two pipes with a latency of four cycles (Zen 4 splits each register in two
// halves). So Zen 5 needs eight registers in flight to keep its pipes busy. A kernel that loads, runs
// the rounds and stores, one after the other, has fewer in flight between two groups. This kernel has
// no such gaps. The eight registers are four pairs, the phases, and each phase is a quarter of the
// rounds ahead of the next. While one phase ends its blocks and starts the next, the others are in the
// middle of their rounds. The masks of the next blocks of a phase are made in the quarter before,
// spread between the rounds.
//
// The loop has one iteration more than there are groups. In the first iteration the registers are
// empty, and the output of the phases goes to the stack. In the last iteration the blocks that start
// are never ended. So the skew needs no code before and after the loop.
//
// On Zen 5, byte shuffles use AES pipes, and so do broadcasts from memory, in part. Shifts of words,
// shuffles of words and logic do not. In a measurement, 64 AES instructions on eight registers were
// mixed with 64 others. They took 1.00 times as long with VPSLLQ, VPSHUFD or VPTERNLOGQ, and 1.35 times
// with VPSHUFB, VPSLLDQ or VBROADCASTI32X4. Hence round keys are stored as wide as a register, and no
// byte is shuffled.
func skewedAVX512() string {
	const requires = "AVX512F, AVX512BW, VAES, VPCLMULQDQ"
	f := newFile()
	for _, stream := range []bool{false, true} {
		suffix := ""
		if stream {
			suffix = "Stream"
		}
		for _, d := range directions {
			declaration := fmt.Sprintf("func %sSkewed%s(s *wideSchedule, loop int, dst, src *byte, masks *[16]byte, units, groups int)", d.name, suffix)
			f.function(declaration, requires, groupSize+64, cryptArgs, skewed{d.aes, stream}.crypt())
		}
	}
	return f.String()
}

// Offsets in the Go struct wideSchedule.
const (
	wideWhiten = 0   // first round key XOR last
	wideLast   = 64  // last round key
	wideStep   = 128 // correction for multiplying by x^32
	wideLeft   = 192 // exponents of the first four blocks: 0, 1, 2, 3
	wideRight  = 256 // and 64 minus these
	wideMiddle = 320
)

const (
	groupSize  = 512
	phases     = 4
	phaseWidth = 8 / phases // registers
)

// Vector registers of a skewed kernel. Blocks are in Z0 to Z7 and their masks, XORed with the last
// round key, in Z8 to Z15.
const (
	sWhiten    = "Z16"
	sLast      = "Z17"
	sStep      = "Z18"
	sKey       = "Z19"
	sFirst     = "Z20" // masks of the first four blocks of a unit
	sSwapped   = "Z21" // the same with their halves swapped
	sTemp0     = "Z22"
	sTemp1     = "Z23"
	sReduction = sTemp1 // only for multiplications, which do not need the other temporary
	sParts     = 24     // and the seven after it: inputs of the next masks
)

// Mask registers of a skewed kernel.
const (
	sLowHalves = "K1" // the lower quadword of each block
	sLowWords  = "K2" // the lowest doubleword of each block
)

// A skewed is a kernel for one direction, named by its AES instruction.
type skewed struct {
	aes    string
	stream bool // stores bypass the caches, to multiples of 64
}

func (k skewed) crypt() code {
	var b code
	b.op("MOVQ s+0(FP), AX")
	b.op("MOVQ dst+16(FP), R10") // where the next group goes
	b.op("MOVQ src+24(FP), SI")
	b.op("MOVQ masks+32(FP), BX")
	b.op("MOVQ units+40(FP), R9") // groups that are not begun, of all units
	b.op("MOVQ groups+48(FP), R8")
	b.op("IMULQ R8, R9")
	b.op("LEAQ 63(SP), DI")
	b.op("ANDQ $-64, DI")
	b.op("MOVQ DI, R11")
	b.op("MOVL $0x55, DX")
	b.op("KMOVQ DX, %s", sLowHalves)
	b.op("MOVL $0x1111, DX")
	b.op("KMOVQ DX, %s", sLowWords)
	b.op("VMOVDQA64 %d(AX), %s", wideWhiten, sWhiten)
	b.op("VMOVDQA64 %d(AX), %s", wideLast, sLast)
	b.op("VMOVDQA64 %d(AX), %s", wideStep, sStep)
	for i := range 16 {
		b.op("VPXORQ Z%d, Z%d, Z%d", i, i, i)
	}
	// The order is that of type skewedLoop in Go.
	loops := []skewedGroup{{k, 14, false}, {k, 10, false}, {k, 10, true}}
	b.op("MOVQ loop+8(FP), DX")
	for i := 1; i < len(loops); i++ {
		b.op("CMPQ DX, $%d", i)
		b.op("JEQ begin%d", i)
	}
	for i, g := range loops {
		b.op("begin%d:", i)
		if g.multiplies {
			// The lowest bit of the product is already included; see start and step.
			b.op("MOVQ $%#x, DX", reduction&^1)
			b.op("VPBROADCASTQ DX, %s", sReduction)
		}
		b.op("start%d:", i)
		b.op("MOVQ R8, CX")
		b = append(b, g.code(g.start)...)
		b = append(b, advance(i)...)
		b.op("JZ start%d", i)
		b.op("step%d:", i)
		b = append(b, g.code(g.step)...)
		b = append(b, advance(i)...)
		b.op("JNZ step%d", i)
		b.op("JMP start%d", i)

		// One more iteration ends the last group. It reads that group again as input.
		b.op("end%d:", i)
		b.op("JLT wipe")
		b.op("SUBQ $%d, SI", groupSize)
		b.op("JMP step%d", i)
	}
	b.op("wipe:")
	b.op("VPXORQ Z0, Z0, Z0")
	for i := range 8 {
		b.op("VMOVDQA64 Z0, %d(R11)", 64*i)
	}
	if k.stream {
		b.op("SFENCE") // before anybody is told that it is there
	}
	b.op("VZEROUPPER")
	b.op("RET")
	return b
}

// advance moves on to the next group of a loop. The zero flag shows whether that group starts a unit.
func advance(loop int) code {
	var b code
	b.op("ADDQ $%d, SI", groupSize)
	b.op("MOVQ R10, DI")
	b.op("ADDQ $%d, R10", groupSize)
	b.op("DECQ R9")
	b.op("JLE end%d", loop)
	b.op("DECQ CX")
	return b
}

// A skewedGroup makes one iteration of the loop: all rounds of 512 bytes, on average half of them for
// the current group and half for the next group.
type skewedGroup struct {
	skewed
	rounds int

	// multiplies means that masks are made with carry-less multiplications. Shifts need three or four
	// instructions more for each. AES-256 has room for them between its rounds. So has AES-128 on Zen
	// 4, where a multiplication uses AES pipes: with shifts it is 1.06 (units of 512 bytes) and 1.09
	// times as fast (4096). On Zen 5, AES-128 is faster with multiplications.
	multiplies bool
}

// ending returns the step of the iteration in which phase p ends its blocks. There are as many steps as
// rounds, and the last phase ends with the last step.
func (g skewedGroup) ending(p int) int { return ((p+1)*g.rounds+phases-1)/phases - 1 }

// code makes one iteration. masks returns the code that makes the masks of register i of the next
// group.
func (g skewedGroup) code(masks func(i int) (before, after code)) code {
	var b, main, before code
	var after [8]code
	ahead, store := prefetch(groupSize), "VMOVDQU64"
	if g.stream {
		ahead, store = prefetchSource(groupSize), "VMOVNTDQ"
	}
	prepare := func(p int) {
		before = nil
		for i := p * phaseWidth; i < (p+1)*phaseWidth; i++ {
			var first code
			first, after[i] = masks(i)
			before = append(before, first...)
		}
		n := len(ahead) / (phases - p)
		before, ahead = merge(before, ahead[:n]), ahead[n:]
	}
	prepare(0)
	for step := range g.rounds {
		for p := range phases {
			round := (step - g.ending(p) + g.rounds) % g.rounds
			if round > 0 {
				main.op("VMOVDQA64 %d(AX), %s", wideMiddle+64*(round-1), sKey)
				for i := p * phaseWidth; i < (p+1)*phaseWidth; i++ {
					main.op("%s %s, Z%d, Z%d", g.aes, sKey, i, i)
				}
				continue
			}
			b = append(b, merge(main, before)...)
			main = nil
			for i := p * phaseWidth; i < (p+1)*phaseWidth; i++ {
				main.op("%sLAST Z%d, Z%d, Z%d", g.aes, 8+i, i, i)
				main.op("%s Z%d, %d(DI)", store, i, 64*i)
				main = append(main, after[i]...)
				main.op("VMOVDQA64 %s, Z%d", sWhiten, i)
				main.op("VPTERNLOGQ $0x96, %d(SI), Z%d, Z%d", 64*i, 8+i, i)
			}
			if p+1 < phases {
				prepare(p + 1)
			}
		}
	}
	return append(b, main...)
}

// parts names the two registers with the inputs of the masks of register i. They are used after the
// last round of the present blocks has used the present masks. The inputs of the next phase are
// computed meanwhile.
func parts(i int) (string, string) {
	n := sParts + i%(2*phaseWidth)
	return fmt.Sprintf("Z%d", n), fmt.Sprintf("Z%d", n+2*phaseWidth)
}

// start makes masks of the first group of a unit. It makes those of register i by multiplying the masks
// of the first four blocks by x^4i, in halves of 64 bits. Bits that fall out of a lower half go to the
// upper one. Bits that fall out of an upper half are multiplied by the reduction and go to the lower
// one.
func (g skewedGroup) start(i int) (before, after code) {
	product, rest := parts(i)
	if i > 0 {
		before.op("VPSLLQ $%d, %s, %s", 4*i, sFirst, product)
		before.op("VPSRLQ $%d, %s, %s", 64-4*i, sSwapped, sTemp0)
		before = append(before, g.reduce(sTemp0, product, rest)...)
		if g.multiplies {
			after.op("VPXORQ %s, %s, Z%d", product, sLast, 8+i)
			return before, after
		}
		before.op("VPTERNLOGQ $0x96, %s, %s, %s", sLast, sTemp0, rest)
		after.op("VPXORQ %s, %s, Z%d", product, rest, 8+i)
		return before, after
	}
	before.op("VBROADCASTI32X4 (BX), %s", sFirst)
	before.op("ADDQ $16, BX")
	before.op("VPSHUFD $0x4e, %s, %s", sFirst, sTemp0)
	before.op("VPSLLVQ %d(AX), %s, %s", wideLeft, sFirst, sFirst)
	before.op("VPSRLVQ %d(AX), %s, %s", wideRight, sTemp0, sTemp0)
	before = append(before, g.reduce(sTemp0, sFirst, rest)...)
	if !g.multiplies {
		before.op("VPTERNLOGQ $0x96, %s, %s, %s", sTemp0, rest, sFirst)
	}
	before.op("VPSHUFD $0x4e, %s, %s", sFirst, sSwapped)
	after.op("VPXORQ %s, %s, Z8", sFirst, sLast)
	return before, after
}

// reduce adds the bits in fallen to product. The lower halves must be multiplied by the reduction x^7 +
// x^2 + x + 1. With shifts, two terms remain to be added: they are in fallen and in rest.
func (g skewedGroup) reduce(fallen, product, rest string) code {
	var b code
	if g.multiplies {
		b.op("VPCLMULQDQ $0x00, %s, %s, %s", sReduction, fallen, rest)
		b.op("VPTERNLOGQ $0x96, %s, %s, %s", fallen, rest, product)
		return b
	}
	b.op("VPADDQ.Z %s, %s, %s, %s", fallen, fallen, sLowHalves, sTemp1)
	b.op("VPSLLQ.Z $2, %s, %s, %s", fallen, sLowHalves, rest)
	b.op("VPTERNLOGQ $0x96, %s, %s, %s", fallen, sTemp1, product)
	b.op("VPSLLQ.Z $7, %s, %s, %s", fallen, sLowHalves, fallen)
	return b
}

// step makes the masks of register i from those of the previous group in the same unit by multiplying
// by x^32. Each doubleword moves up by one, and the highest moves to the bottom. Then the other terms
// of the reduction are added to it.
func (g skewedGroup) step(i int) (before, after code) {
	_, rest := parts(i)
	if g.multiplies {
		before.op("VPSRLQ $32, Z%d, %s", 8+i, sTemp0)
		before.op("VPCLMULQDQ $0x01, %s, %s, %s", sReduction, sTemp0, rest)
	} else {
		before.op("VPSHUFD.Z $0x03, Z%d, %s, %s", 8+i, sLowWords, sTemp0)
		before.op("VPADDQ %s, %s, %s", sTemp0, sTemp0, sTemp1)
		before.op("VPSLLQ $2, %s, %s", sTemp0, rest)
		before.op("VPSLLQ $7, %s, %s", sTemp0, sTemp0)
		before.op("VPTERNLOGQ $0x96, %s, %s, %s", sTemp0, sTemp1, rest)
	}
	after.op("VPSHUFD $0x93, Z%d, Z%d", 8+i, 8+i)
	after.op("VPTERNLOGQ $0x96, %s, %s, Z%d", sStep, rest, 8+i)
	return before, after
}
