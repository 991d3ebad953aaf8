package main

import "fmt"

// A width is a size of vector registers on amd64, with its instructions.
type width struct {
	letter                    string // of the registers
	blocks                    int    // AES blocks in a register
	move, xor, and, broadcast string
}

var (
	zmm = width{"Z", 4, "VMOVDQU64", "VPXORQ", "VPANDQ", "VBROADCASTI32X4"}
	ymm = width{"Y", 2, "VMOVDQU", "VPXOR", "VPAND", "VBROADCASTI128"}
	xmm = width{"X", 1, "VMOVDQU", "VPXOR", "VPAND", "VMOVDQU"}
)

// r returns the name of register i.
func (w width) r(i int) string { return fmt.Sprintf("%s%d", w.letter, i) }

// size returns the size of a register in bytes.
func (w width) size() int { return 16 * w.blocks }

// Offsets in the Go struct schedule. All fields except the middle round keys are duplicated, for
// instructions with operands of 32 bytes in memory.
const (
	whitenOffset = 0  // first round key XOR last
	lastOffset   = 32 // last round key
	stepsOffset  = 64 // corrections for multiplying by x^8, x^16, x^24, x^32
	middleOffset = 192
)

// Offsets in the Go struct counters.
const (
	nextOffset      = 0
	incrementOffset = 64
	maskOffset      = 128
)

// reduction is x^128 modulo the polynomial of XTS: x^7 + x^2 + x + 1.
const reduction = 0x87

// powers returns x^0 to x^(n-1), each as a block.
func powers(n int) []uint64 {
	var words []uint64
	for i := range n {
		words = append(words, 1<<i, 0)
	}
	return words
}
