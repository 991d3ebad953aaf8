package main

import (
	"fmt"
	"strings"
)

// vaesAVX2 makes the kernel for VAES without AVX-512. It processes 256 bytes at a time in eight
// registers of two blocks.
//
// Zen 3 has no wider registers. It executes AES on two of its four vector pipes, two registers per
// cycle. Byte shuffles and shifts use two pipes, one of which AES uses too. A carry-less multiplication
// of two blocks stalls AES for two cycles.
//
// In a measurement, 32 AES instructions on eight registers were mixed with as many others. They took
// 1.0 to 1.2 times as long with VPXOR, VPADDD or VPBLENDD, 1.5 times with shuffles and shifts, and 4.4
// times with VPCLMULQDQ. So the masks of the next group are made between the rounds with logic,
// additions and blends. Unaligned loads replace shuffles where possible; see pairmasks.go.
//
// Masks are kept XORed with the last round key, as with AVX-512.
//
// On an otherwise idle core of Zen 3, this reaches 0.86 and 0.91 of the limit for AES-256 (units of 512
// and 4096 bytes), and 0.78 and 0.81 for AES-128. With precomputed masks it would reach 0.95: the rest
// are the XORs before the rounds, loads and stores. The distribution of the mask instructions between
// the rounds made no difference. Phases as in skewedAVX512 gained 1 %. In a model, twelve registers of
// blocks instead of eight gained 2 to 3 %.
//
// While another program uses the core's second thread, it reaches 0.6 to 0.7. The two threads then
// share the decoders. 227 instructions for 256 bytes pass through them at 2.6 per cycle, while AES
// alone would take 56 cycles. (With precomputed masks there are 153, which still fit.) Only fewer
// instructions of any kind would help; without prefetches, 8 of them, it was as fast.
func vaesAVX2() string {
	const requires = "AVX2, VAES"
	f := newFile()
	// Block n is lane n%2 of register n/2. In a register with one doubleword for each of eight blocks,
	// block n has doubleword n/2 of lane n%2.
	var left, fallen []uint64
	for n := range uint64(8) {
		left = append(left, n, n)
	}
	for _, bits := range []uint64{8, 16, 24, 32} {
		for _, n := range []uint64{0, 4, 1, 5} {
			fallen = append(fallen, bits-n|(bits-n-2)<<32)
		}
	}
	f.table("leftAVX2", left...)
	f.table("fallenAVX2", fallen...)
	f.table("lowBytesAVX2", repeat(0x000000ff000000ff)...)
	f.table("lowWordsAVX2", repeat(0x0000ffff0000ffff)...)
	f.table("butLowWordAVX2", ^uint64(0xffff), ^uint64(0), ^uint64(0xffff), ^uint64(0))
	f.function(tweaksDeclaration("AVX2"), requires, 0, tweaksArgs, ymm.tweaks())
	for _, stream := range []bool{false, true} {
		suffix := "AVX2"
		if stream {
			suffix = "AVX2Stream"
		}
		for _, d := range directions {
			f.function(cryptDeclaration(d.name, suffix), requires, pairFrame+64, cryptArgs, pairKernel{d.aes, stream}.crypt())
		}
	}
	return f.String()
}

// A pairKernel is the kernel for registers of two blocks in one direction, named by its AES
// instruction.
type pairKernel struct {
	aes    string
	stream bool // stores bypass the caches, to multiples of 32
}

const pairGroup = 8 * 32 // bytes in the registers of blocks

// Layout of the frame. Carries have 64 bytes each, so that loads that start within their lanes stay in
// a cache line. Some bytes before the masks are read but not used.
const (
	pairMasks0  = 64
	pairMasks1  = pairMasks0 + pairGroup + 64
	pairCarries = pairMasks1 + pairGroup // for four registers each
	pairStart   = pairCarries + 2*64     // for the first group of the next unit
	startLower  = 0                      // lower carries of blocks 0 to 7, XORed with the last round key
	startUpper  = 80                     // carries of their upper halves, which are only moved
	startByte   = 128                    // carries of the masks of blocks 0 to 7, times x^8
	pairKeys    = pairStart + 3*64       // values that carries are XORed with:
	keyOfFirst  = 0                      // in the first group
	keyOfNext   = 32                     // in the others
	keyOfByte   = 64
	pairFrame   = pairKeys + 3*32
)

// Registers of a pairKernel. Blocks are in Y0 to Y7.
const (
	pKey    = "Y8"
	pCarry  = "Y9"
	pTemp0  = "Y10"
	pTemp1  = "Y11"
	pTemp2  = "Y12"
	pFirst  = "Y13" // twice the mask of the first block of a unit
	pClear  = "Y13" // or the mask that clears the low word of each block
	pConst  = "Y14" // value that masks of another group are XORed with
	pWhiten = "Y15"

	pFrame = "R10"
	pNow   = "R11" // masks of this group
	pNext  = "R12" // and of the next one
)

func (k pairKernel) crypt() code {
	var b code
	b.op("MOVQ s+0(FP), AX")
	b.op("MOVQ dst+16(FP), DI")
	b.op("MOVQ src+24(FP), SI")
	b.op("MOVQ masks+32(FP), BX")
	b.op("MOVQ units+40(FP), DX")
	b.op("MOVQ groups+48(FP), R8")
	b.op("LEAQ 63(SP), %s", pFrame)
	b.op("ANDQ $-64, %s", pFrame)
	b.op("LEAQ %d(%s), %s", pairMasks0, pFrame, pNext)
	b.op("LEAQ %d(%s), %s", pairMasks1, pFrame, pNow)
	b = append(b, carryKeys()...)
	b.op("VMOVDQU %d(AX), %s", whitenOffset, pWhiten)
	b = append(b, startCarries()...)
	b = append(b, start()...)
	b.op("XCHGQ %s, %s", pNow, pNext)
	b.op("MOVQ R8, CX")
	b.op("CMPQ rounds+8(FP), $14")
	b.op("JEQ group256")
	for _, rounds := range []int{10, 14} {
		bits := keyBits(rounds)
		b.op("group%d:", bits)
		b.op("CMPQ CX, $2")
		b.op("JEQ second%d", bits)
		b.op("JB last%d", bits)
		b = append(b, k.group(rounds, append(step(), carries()...))...)
		b.op("DECQ CX")
		b.op("JMP group%d", bits)

		// The group before the last of a unit starts the work for the next unit. After the last unit
		// there is none, so the mask of this unit is used again.
		b.op("second%d:", bits)
		b.op("LEAQ 16(BX), R9")
		b.op("CMPQ DX, $1")
		b.op("CMOVQNE R9, BX")
		b = append(b, k.group(rounds, append(step(), startCarries()...))...)
		b.op("last%d:", bits)
		b = append(b, k.group(rounds, start())...)
		b.op("MOVQ R8, CX")
		b.op("DECQ DX")
		b.op("JNZ group%d", bits)
		b.op("JMP wipe")
	}
	b.op("wipe:")
	if k.stream {
		b.op("SFENCE") // the stores are weakly ordered
	}
	b.op("VPXOR X0, X0, X0")
	for i := 0; i < pairFrame; i += 32 {
		b.op("VMOVDQA Y0, %d(%s)", i, pFrame)
	}
	b.op("VZEROUPPER")
	b.op("RET")
	return b
}

// group encrypts or decrypts eight registers and advances the pointers. side runs between its
// instructions.
func (k pairKernel) group(rounds int, side code) code {
	var b, main code
	for i := range 8 {
		b.op("VPXOR %d(SI), %s, Y%d", 32*i, pWhiten, i)
		b.op("VPXOR %d(%s), Y%d, Y%d", 32*i, pNow, i, i)
	}
	for round := 1; round < rounds; round++ {
		line := fmt.Sprintf("VBROADCASTI128 %d(AX), %s", middleOffset+16*(round-1), pKey)
		for i := range 8 {
			line += fmt.Sprintf("\n\t%s %s, Y%d, Y%d", k.aes, pKey, i, i)
		}
		main = append(main, line)
	}
	store, ahead := "VMOVDQU", prefetch(pairGroup)
	if k.stream {
		store, ahead = "VMOVNTDQ", prefetchSource(pairGroup)
	}
	b = append(b, merge(main, merge(sixes(side), ahead))...)
	for i := range 8 {
		b.op("%sLAST %d(%s), Y%d, Y%d", k.aes, 32*i, pNow, i, i)
		b.op("%s Y%d, %d(DI)", store, i, 32*i)
	}
	b.op("ADDQ $%d, SI", pairGroup)
	b.op("ADDQ $%d, DI", pairGroup)
	b.op("XCHGQ %s, %s", pNow, pNext)
	return b
}

// sixes joins six vector instructions, and the moves between them, into one entry.
func sixes(c code) code {
	var out code
	entry, n := "", 0
	for _, line := range c {
		entry += line
		if !strings.HasPrefix(line, "VMOVDQ") {
			n++
		}
		if n == 6 {
			out = append(out, entry)
			entry, n = "", 0
		} else {
			entry += "\n\t"
		}
	}
	if entry != "" {
		out = append(out, strings.TrimSuffix(entry, "\n\t"))
	}
	return out
}

// repeat fills a register with words.
func repeat(word uint64) []uint64 { return []uint64{word, word, word, word} }
