package main

// The masks of a pairKernel.
//
// The masks of the next group are those of this one times x^16. Each mask moves up by one word: it is
// loaded from two bytes before, and its low word, which belongs to another block, is cleared. The carry
// is the word that falls out at the top, times the reduction. It has 23 bits. So the carries of one
// block in each of four registers are computed together and stored as lanes of a register. To use a
// lane, a load starts at its address, which makes it the lowest, and a blend drops the others.
//
// A load like these waits until the stored data are in the cache. So nothing is read this way shortly
// after it is stored: the word that falls out is read from the previous group, where it was the word
// below the top.

// carryKeys makes the values that carries are XORed with: the low doubleword of the value for masks, so
// that the blend can take the rest from that. The values depend on whether a carry comes from masks
// that are XORed with the last round key.
func carryKeys() code {
	var b code
	b.op("VPBROADCASTD %d(AX), %s", lastOffset+12, pFirst)
	b.op("VPSRLD $16, %s, %s", pFirst, pCarry)
	b = append(b, reduce(pTemp0, true)...)
	b.op("VPBROADCASTD %d(AX), %s", stepsOffset+32, pTemp2)
	b.op("VPXOR %s, %s, %s", pTemp2, pTemp0, pTemp2)
	b.op("VMOVDQA %s, %d(%s)", pTemp2, pairKeys+keyOfFirst, pFrame)
	b.op("VPAND lowWordsAVX2<>(SB), %s, %s", pFirst, pCarry)
	b = append(b, reduce(pTemp0, true)...)
	b.op("VPXOR %s, %s, %s", pTemp2, pTemp0, pTemp0)
	b.op("VMOVDQA %s, %d(%s)", pTemp0, pairKeys+keyOfNext, pFrame)
	b.op("VPSRLD $24, %s, %s", pFirst, pCarry)
	b = append(b, reduce(pTemp0, false)...)
	b.op("VPBROADCASTD %d(AX), %s", stepsOffset, pTemp2)
	b.op("VPXOR %s, %s, %s", pTemp2, pTemp0, pTemp0)
	b.op("VMOVDQA %s, %d(%s)", pTemp0, pairKeys+keyOfByte, pFrame)
	return b
}

// step makes the masks of the next group from those of this one in the same unit.
func step() code {
	var b code
	b.op("VMOVDQU butLowWordAVX2<>(SB), %s", pClear)
	b.op("VMOVDQU %d(AX), %s", stepsOffset+32, pConst)
	for i := range 8 {
		b.op("VPBLENDD $0x11, %d(%s), %s, %s", pairCarries+64*(i/4)+4*(i%4), pFrame, pConst, pTemp0)
		b.op("VPAND %d(%s), %s, %s", 32*i-2, pNow, pClear, pTemp1)
		b.op("VPXOR %s, %s, %s", pTemp0, pTemp1, pTemp1)
		b.op("VMOVDQA %s, %d(%s)", pTemp1, 32*i, pNext)
	}
	return b
}

// carries makes the carries for the group after the next one, in the same unit.
func carries() code {
	var b code
	for first := 0; first < 8; first += 4 {
		b.op("VMOVDQU %d(%s), %s", 32*first+12, pNow, pCarry)
		for i := 1; i < 4; i++ {
			// The word of the register goes to lane i.
			b.op("VPBLENDD $%#x, %d(%s), %s, %s", 0x11<<i, 32*(first+i)+12-4*i, pNow, pCarry, pCarry)
		}
		b.op("VPAND lowWordsAVX2<>(SB), %s, %s", pCarry, pCarry)
		b = append(b, reduce(pTemp0, true)...)
		b.op("VPXOR %d(%s), %s, %s", pairKeys+keyOfNext, pFrame, pTemp0, pTemp0)
		b.op("VMOVDQA %s, %d(%s)", pTemp0, pairCarries+16*first, pFrame)
	}
	return b
}

// reduce sets to to pCarry times x^7 + x^2 + x, in doublewords, or with whole times the whole
// reduction, which includes the term 1.
func reduce(to string, whole bool) code {
	var b code
	b.op("VPADDD %s, %s, %s", pCarry, pCarry, to)
	b.op("VPSLLD $7, %s, %s", pCarry, pTemp1)
	b.op("VPXOR %s, %s, %s", to, pTemp1, pTemp1)
	b.op("VPADDD %s, %s, %s", to, to, to)
	b.op("VPXOR %s, %s, %s", pTemp1, to, to)
	if whole {
		b.op("VPXOR %s, %s, %s", pCarry, to, to)
	}
	return b
}

// startCarries starts the masks of the first group of a unit. The mask of its block n is the first mask
// times x^n. The bits that fall out of its halves are in their upper doublewords, and one shift
// extracts them for all blocks.
func startCarries() code {
	var b code
	b.op("VPBROADCASTD 12(BX), %s", pFirst)
	b.op("VPBROADCASTD 4(BX), %s", pTemp2)
	b.op("VPSRLVD fallenAVX2<>+%d(SB), %s, %s", 3*32, pTemp2, pTemp2)
	b.op("VPBROADCASTD %d(AX), %s", lastOffset+8, pTemp1)
	b.op("VPXOR %s, %s, %s", pTemp1, pTemp2, pTemp2)
	b.op("VMOVDQU %s, %d(%s)", pTemp2, pairStart+startUpper, pFrame)
	b.op("VPSRLVD fallenAVX2<>+%d(SB), %s, %s", 3*32, pFirst, pCarry)
	b = append(b, reduce(pTemp0, true)...)
	b.op("VPBROADCASTD %d(AX), %s", lastOffset, pTemp1)
	b.op("VPXOR %s, %s, %s", pTemp1, pTemp0, pTemp0)
	b.op("VMOVDQA %s, %d(%s)", pTemp0, pairStart+startLower, pFrame)
	b.op("VPSRLVD fallenAVX2<>+%d(SB), %s, %s", 2*32, pFirst, pCarry)
	b.op("VPAND lowBytesAVX2<>(SB), %s, %s", pCarry, pCarry)
	b = append(b, reduce(pTemp0, false)...)
	b.op("VPXOR %d(%s), %s, %s", pairKeys+keyOfByte, pFrame, pTemp0, pTemp0)
	b.op("VMOVDQA %s, %d(%s)", pTemp0, pairStart+startByte, pFrame)
	return b
}

// start makes the masks of the first group of a unit, and the carries for the group after it. It makes
// the masks of four registers by shifting halves, and the others from these, times x^8.
func start() code {
	var b code
	b.op("VPBROADCASTD 12(BX), %s", pFirst)
	for i := range 2 {
		b.op("VPSRLVD fallenAVX2<>+%d(SB), %s, %s", 32*(1-i), pFirst, pCarry)
		b.op("VPAND lowWordsAVX2<>(SB), %s, %s", pCarry, pCarry)
		b = append(b, reduce(pTemp0, true)...)
		b.op("VPXOR %d(%s), %s, %s", pairKeys+keyOfFirst, pFrame, pTemp0, pTemp0)
		b.op("VMOVDQA %s, %d(%s)", pTemp0, pairCarries+64*i, pFrame)
	}
	b.op("VBROADCASTI128 (BX), %s", pFirst)
	b.op("VMOVDQU %d(AX), %s", lastOffset, pConst)
	b.op("VMOVDQU %d(AX), %s", stepsOffset, pCarry)
	for i := range 4 {
		b.op("VPBLENDD $0x11, %d(%s), %s, %s", pairStart+startLower+4*i, pFrame, pConst, pTemp0)
		b.op("VPBLENDD $0x44, %d(%s), %s, %s", pairStart+startUpper+4*i-8, pFrame, pTemp0, pTemp0)
		b.op("VPSLLVQ leftAVX2<>+%d(SB), %s, %s", 32*i, pFirst, pTemp1)
		b.op("VPXOR %s, %s, %s", pTemp0, pTemp1, pTemp1)
		b.op("VMOVDQA %s, %d(%s)", pTemp1, 32*i, pNext)
		b.op("VPBLENDD $0x11, %d(%s), %s, %s", pairStart+startByte+4*i, pFrame, pCarry, pTemp0)
		b.op("VPALIGNR $15, %s, %s, %s", pTemp1, pTemp1, pTemp1)
		b.op("VPXOR %s, %s, %s", pTemp0, pTemp1, pTemp1)
		b.op("VMOVDQA %s, %d(%s)", pTemp1, 32*(i+4), pNext)
	}
	return b
}
