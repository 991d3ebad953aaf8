package main

import "fmt"

// vaesAVX512 makes the kernel for VAES with AVX-512. It processes 512 bytes at a time in eight
// registers of four blocks.
//
// AES instructions on 64 bytes run only on port 0, one per cycle. So the limit for AES-256 is 14 cycles
// for 64 bytes, and all other work must avoid that port. Shifts by whole bytes and carry-less
// multiplications run only on port 5. XORs can run on either port, and use port 5 while port 0 has a
// queue.
//
// Masks are kept XORed with the last round key. So they serve as the round key of the last round, which
// leaves no XOR after it. XORed with both the first and the last round key, they whiten the input in
// one three-way XOR.
func vaesAVX512() string {
	const requires = "AVX512F, AVX512BW, VAES, VPCLMULQDQ"
	f := newFile()
	f.table("powers512", powers(8)...)
	f.function(tweaksDeclaration("AVX512"), requires, 0, tweaksArgs, zmm.tweaks())
	for _, d := range directions {
		f.function(cryptDeclaration(d.name, "AVX512"), requires, 0, cryptArgs, cryptAVX512(d.aes))
	}
	return f.String()
}

// Registers of cryptAVX512. Blocks are in Z0 to Z7, their masks in Z8 to Z15.
const (
	zReduction = "Z16"
	zWhiten    = "Z17"
	zLast      = "Z18"
	zPowers0   = "Z19" // x^0 to x^3
	zPowers4   = "Z20" // x^4 to x^7
	zStep0     = 21    // corrections for x^8, x^16, x^24, x^32
	zKey       = "Z25"
	zMask      = "Z26"
	zTemp0     = 27 // and the four after it
)

func cryptAVX512(aes string) code {
	var b code
	b.op("MOVQ s+0(FP), AX")
	b.op("MOVQ dst+16(FP), DI")
	b.op("MOVQ src+24(FP), SI")
	b.op("MOVQ masks+32(FP), BX")
	b.op("MOVQ units+40(FP), DX")
	b.op("MOVQ groups+48(FP), R8")
	b.op("MOVQ $%#x, R9", reduction)
	b.op("VPBROADCASTQ R9, %s", zReduction)
	b.op("VBROADCASTI32X4 %d(AX), %s", whitenOffset, zWhiten)
	b.op("VBROADCASTI32X4 %d(AX), %s", lastOffset, zLast)
	for i := range 4 {
		b.op("VBROADCASTI32X4 %d(AX), Z%d", stepsOffset+32*i, zStep0+i)
	}
	b.op("VMOVDQU64 powers512<>+0(SB), %s", zPowers0)
	b.op("VMOVDQU64 powers512<>+64(SB), %s", zPowers4)
	b.op("CMPQ rounds+8(FP), $14")
	b.op("JEQ unit256")
	for _, rounds := range []int{10, 14} {
		bits := keyBits(rounds)
		b.op("unit%d:", bits)
		b.op("VBROADCASTI32X4 (BX), %s", zMask)
		b.op("ADDQ $16, BX")
		b.op("MOVQ R8, CX")
		b = append(b, masksAVX512()...)
		b.op("group%d:", bits)
		b = append(b, groupAVX512(aes, rounds)...)
		b.op("DECQ CX")
		b.op("JZ next%d", bits)
		for i := range 8 {
			b = append(b, multiplyAVX512(4, 8+i, 8+i, zTemp0+i%5)...)
		}
		b.op("JMP group%d", bits)
		b.op("next%d:", bits)
		b.op("DECQ DX")
		b.op("JNZ unit%d", bits)
		b.op("VZEROUPPER")
		b.op("RET")
	}
	return b
}

// masksAVX512 makes the masks of 32 blocks from the first mask. It makes eight by multiplying the
// halves by x^0 to x^7, and the others from these by shifts of whole bytes.
func masksAVX512() code {
	var b code
	for i, powers := range []string{zPowers0, zPowers4} {
		low, high, carry := fmt.Sprintf("Z%d", 8+i), fmt.Sprintf("Z%d", zTemp0+i), fmt.Sprintf("Z%d", zTemp0+2+i)
		b.op("VPCLMULQDQ $0x01, %s, %s, %s", powers, zMask, high)
		b.op("VPCLMULQDQ $0x00, %s, %s, %s", powers, zMask, low)
		b.op("VPCLMULQDQ $0x01, %s, %s, %s", zReduction, high, carry)
		// The carry has at most 14 bits, so the low half of high goes above it.
		b.op("VPUNPCKLQDQ %s, %s, %s", high, carry, carry)
		b.op("VPTERNLOGQ $0x96, %s, %s, %s", zLast, carry, low)
	}
	for bytes := 1; bytes <= 3; bytes++ {
		for i := range 2 {
			b = append(b, multiplyAVX512(bytes, 8+i, 8+2*bytes+i, zTemp0+i)...)
		}
	}
	return b
}

// multiplyAVX512 sets register to to register from times x^8, x^16, x^24 or x^32.
func multiplyAVX512(bytes, from, to, temp int) code {
	var b code
	b.op("VPSRLDQ $%d, Z%d, Z%d", 16-bytes, from, temp)
	b.op("VPSLLDQ $%d, Z%d, Z%d", bytes, from, to)
	b.op("VPCLMULQDQ $0x00, %s, Z%d, Z%d", zReduction, temp, temp)
	b.op("VPTERNLOGQ $0x96, Z%d, Z%d, Z%d", zStep0+bytes-1, temp, to)
	return b
}

// groupAVX512 encrypts or decrypts 512 bytes and advances the pointers.
func groupAVX512(aes string, rounds int) code {
	var b code
	for i := range 8 {
		b.op("VMOVDQA64 %s, Z%d", zWhiten, i)
		b.op("VPTERNLOGQ $0x96, %d(SI), Z%d, Z%d", 64*i, 8+i, i)
	}
	var main code
	for round := 1; round < rounds; round++ {
		main.op("VBROADCASTI32X4 %d(AX), %s", middleOffset+16*(round-1), zKey)
		for i := range 8 {
			main.op("%s %s, Z%d, Z%d", aes, zKey, i, i)
		}
	}
	for i := range 8 {
		main.op("%sLAST Z%d, Z%d, Z%d", aes, 8+i, i, i)
	}
	b = append(b, merge(main, prefetch(512))...)
	for i := range 8 {
		b.op("VMOVDQU64 Z%d, %d(DI)", i, 64*i)
	}
	b.op("ADDQ $512, SI")
	b.op("ADDQ $512, DI")
	return b
}
