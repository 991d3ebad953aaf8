package main

import (
	"fmt"
	"strings"
)

// aesARM64 makes the kernel for the AES instructions of arm64: eight blocks at a
// time, which is enough for their latency, with all round keys in registers.
//
// AESE begins with the XOR of a round key that ends a round on amd64. So the first
// key, here already XORed with the last, comes with the first AESE, and masks that
// are kept XORed with the last round key are right before the first round and after
// the last one.
func aesARM64() string {
	const requires = "AES, PMULL"
	f := newFile()
	f.function(tweaksDeclaration("ARM64"), requires, 0, tweaksArgs, tweaksARM64())
	f.function(cryptDeclaration("encrypt", "ARM64"), requires, 0, cryptArgs, cryptARM64("AESE", "AESMC"))
	f.function(cryptDeclaration("decrypt", "ARM64"), requires, 0, cryptArgs, cryptARM64("AESD", "AESIMC"))
	return f.String()
}

// Vector registers. Blocks are in V0 to V7, which between groups are for whatever is
// needed, and in cryptARM64 the masks of the blocks in V8 to V15.
const (
	armKeys      = 16 // the first of up to fifteen
	armReduction = "V31"
)

// registers lists n registers from first on.
func registers(first, n int) string {
	var names []string
	for i := range n {
		names = append(names, fmt.Sprintf("V%d.B16", first+i))
	}
	return "[" + strings.Join(names, ", ") + "]"
}

// loadARM64 loads n blocks from where pointer points to, and moves it past them.
func loadARM64(pointer string, first, n int) code {
	var b code
	for n > 0 {
		m := min(n, 4)
		b.op("VLD1.P %d(%s), %s", 16*m, pointer, registers(first, m))
		first, n = first+m, n-m
	}
	return b
}

func tweaksARM64() code {
	const keys, masks, n, c = "R0", "R1", "R2", "R3"
	var b code
	b.op("MOVD k+0(FP), %s", keys)
	b.op("MOVD rounds+8(FP), R4")
	b.op("MOVD masks+16(FP), %s", masks)
	b.op("MOVD n+24(FP), %s", n)
	b.op("MOVD c+32(FP), %s", c)
	b.op("VLD1 (%s), [V8.B16]", c)
	b.op("ADD $%d, %s, R5", incrementOffset, c)
	b.op("VLD1 (R5), [V9.B16]")
	b.op("ADD $%d, %s, R5", maskOffset, c)
	b.op("VLD1 (R5), [V10.B16]")
	b = append(b, loadARM64(keys, armKeys, 11)...)
	b.op("CMP $14, R4")
	b.op("BNE aes128")
	b = append(b, loadARM64(keys, armKeys+11, 4)...)
	for _, rounds := range []int{14, 10} {
		b.op("aes%d:", keyBits(rounds))
		for i := range 8 {
			b.op("VAND V10.B16, V8.B16, V%d.B16", i)
			b.op("VADD V9.D2, V8.D2, V8.D2")
		}
		b = append(b, roundsARM64("AESE", "AESMC", rounds)...)
		for i := range 8 {
			b.op("VEOR V%d.B16, V%d.B16, V%d.B16", armKeys+rounds, i, i)
		}
		b.op("VST1.P %s, 64(%s)", registers(0, 4), masks)
		b.op("VST1.P %s, 64(%s)", registers(4, 4), masks)
		b.op("SUBS $8, %s, %s", n, n)
		b.op("BGT aes%d", keyBits(rounds))
		b.op("RET")
	}
	return b
}

// roundsARM64 is all rounds on eight blocks but for the XOR of the last key. Each
// pair of instructions stays together, since many CPUs execute it as one.
func roundsARM64(aes, mix string, rounds int) code {
	var b code
	for round := range rounds {
		for i := range 8 {
			b.op("%s V%d.B16, V%d.B16", aes, armKeys+round, i)
			if round < rounds-1 {
				b.op("%s V%d.B16, V%d.B16", mix, i, i)
			}
		}
	}
	return b
}

func cryptARM64(aes, mix string) code {
	const keys, dst, src, masks, units, groups, left, pointer = "R0", "R1", "R2", "R3", "R4", "R5", "R6", "R7"
	var b code
	b.op("MOVD s+0(FP), %s", keys)
	b.op("MOVD rounds+8(FP), R8")
	b.op("MOVD dst+16(FP), %s", dst)
	b.op("MOVD src+24(FP), %s", src)
	b.op("MOVD masks+32(FP), %s", masks)
	b.op("MOVD units+40(FP), %s", units)
	b.op("MOVD groups+48(FP), %s", groups)
	b.op("MOVD $%#x, R9", reduction)
	b.op("VDUP R9, %s.D2", armReduction)
	b.op("VLD1 (%s), [V%d.B16]", keys, armKeys) // the first is whiten
	b.op("ADD $%d, %s, %s", middleOffset, keys, pointer)
	b = append(b, loadARM64(pointer, armKeys+1, 9)...)
	b.op("CMP $14, R8")
	b.op("BNE unit128")
	b = append(b, loadARM64(pointer, armKeys+10, 4)...)
	for _, rounds := range []int{14, 10} {
		bits := keyBits(rounds)
		b.op("unit%d:", bits)
		b.op("MOVD %s, %s", groups, left)
		b = append(b, startARM64(keys, masks, pointer)...)
		b.op("group%d:", bits)
		b.op("VLD1.P 64(%s), %s", src, registers(0, 4))
		b.op("VLD1.P 64(%s), %s", src, registers(4, 4))
		for i := range 8 {
			b.op("VEOR V%d.B16, V%d.B16, V%d.B16", 8+i, i, i)
		}
		b = append(b, roundsARM64(aes, mix, rounds)...)
		for i := range 8 {
			b.op("VEOR V%d.B16, V%d.B16, V%d.B16", 8+i, i, i)
		}
		b.op("VST1.P %s, 64(%s)", registers(0, 4), dst)
		b.op("VST1.P %s, 64(%s)", registers(4, 4), dst)
		b.op("SUBS $1, %s, %s", left, left)
		b.op("BEQ next%d", bits)
		b = append(b, stepARM64(keys, pointer)...)
		b.op("JMP group%d", bits)
		b.op("next%d:", bits)
		b.op("SUBS $1, %s, %s", units, units)
		b.op("BNE unit%d", bits)
		b.op("RET")
	}
	return b
}

// startARM64 makes the masks of the first eight blocks of a unit, multiplying by x
// in general registers.
func startARM64(keys, masks, pointer string) code {
	var b code
	b.op("ADD $%d, %s, %s", lastOffset, keys, pointer)
	b.op("VLD1 (%s), [V0.B16]", pointer)
	b.op("LDP.P 16(%s), (R10, R11)", masks)
	for i := range 8 {
		b.op("VMOV R10, V%d.D[0]", 8+i)
		b.op("VMOV R11, V%d.D[1]", 8+i)
		b.op("VEOR V0.B16, V%d.B16, V%d.B16", 8+i, 8+i)
		if i < 7 {
			b.op("ASR $63, R11, R12")
			b.op("AND $%#x, R12, R12", reduction)
			b.op("EXTR $63, R10, R11, R11")
			b.op("EOR R10<<1, R12, R10")
		}
	}
	return b
}

// stepARM64 makes the masks of the next eight blocks of a unit, multiplying by x^8:
// a shift by a byte, and the byte that falls out times the reduction.
func stepARM64(keys, pointer string) code {
	var b code
	b.op("ADD $%d, %s, %s", stepsOffset, keys, pointer)
	b.op("VLD1 (%s), [V0.B16]", pointer)
	b.op("VEOR V1.B16, V1.B16, V1.B16")
	for i := range 8 {
		mask, shifted, carry := fmt.Sprintf("V%d", 8+i), fmt.Sprintf("V%d", 2+i%3), fmt.Sprintf("V%d", 5+i%3)
		b.op("VUSHR $56, %s.D2, %s.D2", mask, carry)
		b.op("VEXT $15, %s.B16, V1.B16, %s.B16", mask, shifted)
		b.op("VPMULL2 %s.D2, %s.D2, %s.Q1", armReduction, carry, carry)
		b.op("VEOR V0.B16, %s.B16, %s.B16", shifted, shifted)
		b.op("VEOR %s.B16, %s.B16, %s.B16", carry, shifted, mask)
	}
	return b
}
