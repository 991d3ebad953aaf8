package main

import "fmt"

// aesniAVX makes the kernel for AES-NI. It processes a group of eight registers of one block at a time.
//
// AES instructions of this width occupy two of the three vector ports, and making masks the third. So
// the masks of the next group are computed between the AES rounds of this one. They pass through
// memory, because 16 registers are not enough to hold them too. As with AVX-512, they are kept XORed
// with the last round key.
func aesniAVX() string {
	const requires = "AES, AVX, PCLMULQDQ"
	f := newFile()
	f.table("powersAVX", powers(8)...)
	f.table("reductionAVX", reduction, 0, reduction, 0)
	f.function(tweaksDeclaration("AVX"), requires, 0, tweaksArgs, xmm.tweaks())
	n := narrowKernel{xmm}
	for _, d := range directions {
		f.function(cryptDeclaration(d.name, "AVX"), requires, 2*n.maskSize()+n.size(), cryptArgs, n.crypt(d.aes))
	}
	return f.String()
}

type narrowKernel struct{ width }

// maskSize is the size of the masks of a group, which equals the size of its data.
func (n narrowKernel) maskSize() int { return 8 * n.size() }

// General registers of crypt. R10 and R11 point to the masks of this group and of
// the next.
const (
	masksNow  = "R10"
	masksNext = "R11"
)

// Vector registers of crypt. Blocks are in 0 to 7.
const (
	nKey       = 8
	nReduction = 9
	nWhiten    = 10
	nMask      = 11 // mask of the first block of the next unit
	nTemp0     = 12 // and the three after it
)

func (n narrowKernel) crypt(aes string) code {
	var b code
	b.op("MOVQ s+0(FP), AX")
	b.op("MOVQ dst+16(FP), DI")
	b.op("MOVQ src+24(FP), SI")
	b.op("MOVQ masks+32(FP), BX")
	b.op("MOVQ units+40(FP), DX")
	b.op("MOVQ groups+48(FP), R8")
	// Masks that do not cross cache lines can be read faster.
	b.op("LEAQ %d(SP), %s", n.size()-1, masksNow)
	b.op("ANDQ $-%d, %s", n.size(), masksNow)
	b.op("LEAQ %d(%s), %s", n.maskSize(), masksNow, masksNext)
	b.op("%s reductionAVX<>(SB), %s", n.move, n.r(nReduction))
	b.op("%s %d(AX), %s", n.move, whitenOffset, n.r(nWhiten))
	b.op("%s (BX), %s", n.broadcast, n.r(nMask))
	b = append(b, n.start()...)
	b.op("XCHGQ %s, %s", masksNow, masksNext)
	b.op("MOVQ R8, CX")
	b.op("CMPQ rounds+8(FP), $14")
	b.op("JEQ group256")
	for _, rounds := range []int{10, 14} {
		bits := keyBits(rounds)
		b.op("group%d:", bits)
		b.op("DECQ CX")
		b.op("JZ last%d", bits)
		b = append(b, n.group(aes, rounds, n.step())...)
		b.op("JMP group%d", bits)

		// The last group of a unit computes the masks of the next unit. After the last unit there is
		// none, so the mask of this unit is used again.
		b.op("last%d:", bits)
		b.op("LEAQ 16(BX), R9")
		b.op("CMPQ DX, $1")
		b.op("CMOVQNE R9, BX")
		b.op("%s (BX), %s", n.broadcast, n.r(nMask))
		b = append(b, n.group(aes, rounds, n.start())...)
		b.op("MOVQ R8, CX")
		b.op("DECQ DX")
		b.op("JNZ group%d", bits)
		b.op("JMP wipe")
	}
	b.op("wipe:")
	b.op("LEAQ %d(SP), %s", n.size()-1, masksNow)
	b.op("ANDQ $-%d, %s", n.size(), masksNow)
	b.op("VPXOR X0, X0, X0")
	for i := range 16 {
		b.op("%s %s, %d(%s)", n.move, n.r(0), n.size()*i, masksNow)
	}
	b.op("VZEROUPPER")
	b.op("RET")
	return b
}

// group encrypts or decrypts eight registers and advances the pointers. side runs between its
// instructions.
func (n narrowKernel) group(aes string, rounds int, side code) code {
	var b, main code
	for i := range 8 {
		b.op("%s %d(%s), %s", n.xor, n.size()*i, masksNow, n.r(nWhiten)+", "+n.r(i))
		b.op("%s %d(SI), %s, %s", n.xor, n.size()*i, n.r(i), n.r(i))
	}
	for round := 1; round < rounds; round++ {
		main.op("%s %d(AX), %s", n.broadcast, middleOffset+16*(round-1), n.r(nKey))
		for i := range 8 {
			main.op("%s %s, %s, %s", aes, n.r(nKey), n.r(i), n.r(i))
		}
	}
	for i := range 8 {
		main.op("%sLAST %d(%s), %s, %s", aes, n.size()*i, masksNow, n.r(i), n.r(i))
	}
	b = append(b, merge(merge(main, side), prefetch(n.maskSize()))...)
	for i := range 8 {
		b.op("%s %s, %d(DI)", n.move, n.r(i), n.size()*i)
	}
	b.op("ADDQ $%d, SI", n.maskSize())
	b.op("ADDQ $%d, DI", n.maskSize())
	b.op("XCHGQ %s, %s", masksNow, masksNext)
	return b
}

// start makes the masks of the next group, the first of a unit, from the mask of its first block. It
// multiplies the halves of that mask by x^0 to x^7.
func (n narrowKernel) start() code {
	var b code
	for i := range 8 {
		low, high, carry := n.r(nTemp0), n.r(nTemp0+1), n.r(nTemp0+2)
		powers := fmt.Sprintf("powersAVX<>+%d(SB)", n.size()*i)
		b.op("VPCLMULQDQ $0x01, %s, %s, %s", powers, n.r(nMask), high)
		b.op("VPCLMULQDQ $0x00, %s, %s, %s", powers, n.r(nMask), low)
		b.op("VPCLMULQDQ $0x01, %s, %s, %s", n.r(nReduction), high, carry)
		// The carry has at most 14 bits, so the low half of high goes above it.
		b.op("VPUNPCKLQDQ %s, %s, %s", high, carry, carry)
		b.op("VPXOR %d(AX), %s, %s", lastOffset, low, low)
		b.op("VPXOR %s, %s, %s", carry, low, low)
		b.op("%s %s, %d(%s)", n.move, low, n.size()*i, masksNext)
	}
	return b
}

// step makes the masks of the next group from those of this one in the same unit.
func (n narrowKernel) step() code {
	var b code
	for i := range 8 {
		mask, temp := n.r(nTemp0+i%2), n.r(nTemp0+2+i%2)
		b.op("%s %d(%s), %s", n.move, n.size()*i, masksNow, mask)
		b = append(b, n.multiply(mask, temp)...)
		b.op("%s %s, %d(%s)", n.move, mask, n.size()*i, masksNext)
	}
	return b
}

// multiply multiplies mask by x^8.
func (n narrowKernel) multiply(mask, temp string) code {
	var b code
	b.op("VPSRLDQ $15, %s, %s", mask, temp)
	b.op("VPSLLDQ $1, %s, %s", mask, mask)
	b.op("VPCLMULQDQ $0x00, %s, %s, %s", n.r(nReduction), temp, temp)
	b.op("VPXOR %d(AX), %s, %s", stepsOffset, mask, mask)
	b.op("VPXOR %s, %s, %s", temp, mask, mask)
	return b
}
