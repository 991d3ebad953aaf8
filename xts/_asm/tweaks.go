package main

import "fmt"

// tweaks makes the body of a function that encrypts counters to the masks of the first blocks of data
// units. It encrypts eight registers at a time to keep the AES unit busy:
//
//	(k *roundKeys, rounds int, masks *[16]byte, n int, c *counters)
//
// It writes a multiple of 16 masks. If eight registers hold 32 masks and n is more than 16, it writes a
// multiple of 32.
func (w width) tweaks() code {
	const keys, masks, n, c = "AX", "DI", "CX", "SI"
	counter, increment, mask := w.r(15), w.r(14), w.r(13)
	var b code
	b.op("MOVQ k+0(FP), %s", keys)
	b.op("MOVQ masks+16(FP), %s", masks)
	b.op("MOVQ n+24(FP), %s", n)
	b.op("MOVQ c+32(FP), %s", c)
	b.op("%s %d(%s), %s", w.move, nextOffset, c, counter)
	b.op("%s %d(%s), %s", w.move, incrementOffset, c, increment)
	b.op("%s %d(%s), %s", w.move, maskOffset, c, mask)
	b.op("CMPQ rounds+8(FP), $14")
	b.op("JEQ aes256")
	for _, rounds := range []int{10, 14} {
		bits := keyBits(rounds)
		b.op("aes%d:", bits)
		if 8*w.blocks > maskBatch {
			b.op("CMPQ %s, $%d", n, maskBatch)
			b.op("JLE few%d", bits)
		}
		b = append(b, w.tweakBatch(8, rounds)...)
		b.op("SUBQ $%d, %s", w.blocks*8, n)
		b.op("JG aes%d", bits)
		b.op("VZEROUPPER")
		b.op("RET")
		if 8*w.blocks > maskBatch {
			b.op("few%d:", bits)
			b = append(b, w.tweakBatch(maskBatch/w.blocks, rounds)...)
			b.op("VZEROUPPER")
			b.op("RET")
		}
	}
	return b
}

// maskBatch is the minimal number of masks that the Go code has room for.
const maskBatch = 16

// tweakBatch encrypts the counters in batch registers and advances the pointer to masks.
func (w width) tweakBatch(batch, rounds int) code {
	const keys, masks = "AX", "DI"
	counter, increment, mask, key := w.r(15), w.r(14), w.r(13), w.r(12)
	var b code
	b.op("%s (%s), %s", w.broadcast, keys, key)
	for i := range batch {
		b.op("%s %s, %s, %s", w.and, mask, counter, w.r(i))
		b.op("VPADDQ %s, %s, %s", increment, counter, counter)
		b.op("%s %s, %s, %s", w.xor, key, w.r(i), w.r(i))
	}
	for round := 1; round <= rounds; round++ {
		b.op("%s %d(%s), %s", w.broadcast, 16*round, keys, key)
		for i := range batch {
			b.op("VAESENC%s %s, %s, %s", last(round, rounds), key, w.r(i), w.r(i))
		}
	}
	for i := range batch {
		b.op("%s %s, %d(%s)", w.move, w.r(i), w.size()*i, masks)
	}
	b.op("ADDQ $%d, %s", w.size()*batch, masks)
	return b
}

func keyBits(rounds int) int { return 32 * (rounds - 6) }

// last returns the suffix of the AES instruction in the given round.
func last(round, rounds int) string {
	if round == rounds {
		return "LAST"
	}
	return ""
}

const tweaksArgs = 40

func tweaksDeclaration(suffix string) string {
	return fmt.Sprintf("func tweaks%s(k *roundKeys, rounds int, masks *[16]byte, n int, c *counters)", suffix)
}

const cryptArgs = 56

func cryptDeclaration(direction, suffix string) string {
	return fmt.Sprintf("func %s%s(s *schedule, rounds int, dst, src *byte, masks *[16]byte, units, groups int)",
		direction, suffix)
}

// directions are the two functions made from each body, by the name of the AES instruction.
var directions = []struct{ name, aes string }{
	{"encrypt", "VAESENC"},
	{"decrypt", "VAESDEC"},
}
