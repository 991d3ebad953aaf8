package main

import (
	"fmt"
	"strings"
)

// aesARM64 makes the kernel for the AES instructions of arm64, with all round keys in registers.
//
// AESE starts with the XOR of a round key, which ends a round on amd64. So the first AESE XORs the
// first round key, which is already XORed with the last. Masks that are kept XORed with the last round
// key are then right both before the first round and after the last one.
func aesARM64() string {
	const requires = "AES, PMULL"
	f := newFile()
	f.function(tweaksDeclaration("ARM64"), requires, 0, tweaksArgs, tweaksARM64())
	f.function(cryptDeclaration("encrypt", "ARM64"), requires, armGroup, cryptArgs, turnARM64{aes: "AESE", mix: "AESMC"}.crypt())
	f.function(cryptDeclaration("decrypt", "ARM64"), requires, armGroup, cryptArgs, turnARM64{aes: "AESD", mix: "AESIMC"}.crypt())
	return f.String()
}

// armKeys is the vector register of the first of up to fifteen round keys. Blocks are in V0 to V7.
const armKeys = 16

// registers lists n registers, starting with first.
func registers(first, n int) string {
	var names []string
	for i := range n {
		names = append(names, fmt.Sprintf("V%d.B16", first+i))
	}
	return "[" + strings.Join(names, ", ") + "]"
}

// loadARM64 loads n blocks at pointer and advances pointer.
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

// roundsARM64 makes all rounds on eight blocks, except for the XOR of the last key. Each pair of
// instructions stays together, because many CPUs fuse it.
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
