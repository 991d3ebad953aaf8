package main

import (
	"fmt"
	"strings"
)

// symbol decodes a symbol of a lane: a literal here, and all others at labels.
func symbol() string {
	isMatch := "($Slane_probs+2*const_isMatch)(DI)(SI*2)"
	return `	MOVQ    $DST, R14
	CMPQ    R14, $END
	JCC     done
	CMPQ    $SRC, $LAST
	JHI     done

	// R15: the position. SI: of the probability of a match.
	MOVL    R14, R15
	SUBL    $BASE, R15
	MOVL    ($Slane_posMask)(DI), CX
	ANDL    R15, CX
	MOVL    ($Slane_state)(DI), SI
	SHLL    $4, SI
	ADDL    CX, SI
` + branch(isMatch, "match$I") + `
	// A literal. R15: its probabilities.
	MOVBLZX -1(R14), DX
	SHLL    $8, R15
	ADDL    DX, R15
	ANDL    ($Slane_litMask)(DI), R15
	MOVL    ($Slane_lc)(DI), CX
	SHLL    CX, R15
	LEAL    (R15)(R15*2), R15
	LEAQ    ($Slane_probs+2*const_literal)(DI)(R15*2), R15
	MOVL    ($Slane_state)(DI), SI
	LEAQ    ·afterLiteral(SB), DX
	MOVBLZX (DX)(SI*1), DX
	MOVL    DX, ($Slane_state)(DI)
	CMPL    SI, $const_afterMatches
	JCC     matched$I
` + tree(8) + `
literal$I:
	MOVQ    $DST, R14
	MOVB    SI, (R14)
	INCQ    R14
	MOVQ    R14, $DST

next$I:
`
}

// matched decodes a literal whose probabilities depend on the byte at the last distance.
func matched() string {
	var b strings.Builder
	b.WriteString(`
matched$I:
	MOVQ    $DST, R14
	MOVL    ($Slane_rep)(DI), AX
	NOTQ    AX
	MOVBLZX (R14)(AX*1), BP
	ADDL    BP, BP
	MOVL    $1, SI
	MOVL    $0x100, R14
	MOVL    BP, $MATCH
`)
	for i := range 8 {
		if i > 0 {
			fmt.Fprintf(&b, "\tMOVL    $MATCH, BP\n\tSHLL    $%d, BP\n", i)
		}
		// R14 is 0x100 as long as the bits are the same, then 0. BP is R14 if the bit of the match is
		// 1. A 1 keeps the bits that R14 and BP have in common, a 0 the bits that differ.
		b.WriteString(`	ANDL    R14, BP
	LEAL    (R14)(BP*1), CX
	ADDL    SI, CX
	XORL    BP, R14
	MOVL    CX, $TREE
	MOVWLZX (R15)(CX*2), AX
` + decide("AX", "BX") + `	CMOVLCC BP, R14
` + shift("SI", "SI") + update("AX") + `	MOVL    $TREE, CX
	MOVW    AX, (R15)(CX*2)
`)
	}
	b.WriteString("\tJMP     literal$I\n")
	return b.String()
}

// state changes the state by a table.
func state(table string) string {
	return `	MOVL    ($Slane_state)(DI), SI
	LEAQ    ·` + table + `(SB), DX
	MOVBLZX (DX)(SI*1), DX
	MOVL    DX, ($Slane_state)(DI)
`
}

// length decodes a length into SI with the probabilities at probs. Labels begin with name. CX holds the
// low bits of the position at the start.
func length(name, probs string) string {
	at := "($Slane_probs+2*" + probs + ")"
	choice, choice2 := "($Slane_probs+2*"+probs+"+2*const_lenChoice)(DI)", "($Slane_probs+2*"+probs+"+2*const_lenChoice2)(DI)"
	return `	MOVQ    $DST, R14
	SUBL    $BASE, R14
	ANDL    ($Slane_posMask)(DI), R14
	SHLL    $4, R14
	LEAQ    (` + at + `+2*const_lenLow)(DI)(R14*1), R15
` + branch(choice, name+"Mid$I") + tree(3) + `	SUBL    $(8-const_minMatch), SI
	JMP     ` + name + `Done$I

` + one(name+"Mid$I", choice) + `	ADDQ    $(2*(const_lenMid-const_lenLow)), R15
` + branch(choice2, name+"High$I") + tree(3) + `	SUBL    $(8-8-const_minMatch), SI
	JMP     ` + name + `Done$I

` + one(name+"High$I", choice2) + `	LEAQ    (` + at + `+2*const_lenHigh)(DI), R15
` + tree(8) + `	SUBL    $(256-16-const_minMatch), SI

` + name + `Done$I:
`
}

// matches decodes all symbols except literals.
func matches() string {
	stateProb := func(name string) string { return "($Slane_probs+2*const_" + name + ")(DI)(SI*2)" }
	posProb := func(name string) string { return "($Slane_probs+2*const_" + name + ")(DI)(SI*2)" }
	var b strings.Builder
	b.WriteString(matched())
	b.WriteString("\n" + one("match$I", posProb("isMatch")) + `	MOVL    SI, R14
	MOVL    ($Slane_state)(DI), SI
` + branch(stateProb("isRep"), "rep$I") + state("afterMatch") + `	MOVL    ($Slane_rep)(DI), AX
	MOVL    ($Slane_rep+4)(DI), BX
	MOVL    ($Slane_rep+8)(DI), CX
	MOVL    AX, ($Slane_rep+4)(DI)
	MOVL    BX, ($Slane_rep+8)(DI)
	MOVL    CX, ($Slane_rep+12)(DI)
` + length("match", "const_matchLen") + `	MOVL    SI, $LEN

	// The slot of a distance.
	SUBL    $const_minMatch, SI
	MOVL    $3, CX
	CMPL    SI, CX
	CMOVLHI CX, SI
	SHLL    $7, SI
	LEAQ    ($Slane_probs+2*const_distSlot)(DI)(SI*1), R15
` + tree(6) + `	SUBL    $64, SI
	CMPL    SI, $4
	JCS     distance$I
	MOVL    SI, CX
	SHRL    $1, CX
	DECL    CX
	MOVL    SI, BP
	ANDL    $1, BP
	ORL     $2, BP
	CMPL    SI, $14
	JCC     far$I

	// A tree of CX bits. BP: the distance.
	SHLL    CX, BP
	MOVL    BP, R15
	SUBL    SI, R15
	LEAQ    ($Slane_probs+2*const_distTree)(DI)(R15*2), R15
	MOVL    CX, $TREE
	MOVL    CX, $MATCH
	MOVL    $1, SI

near$I:
	MOVL    SI, R14
	MOVWLZX (R15)(SI*2), AX
` + decide("AX", "BX") + shift("R14", "SI") + update("AX") + `	MOVW    AX, (R15)(R14*2)
	DECL    $TREE
	JNE     near$I
	MOVL    $MATCH, CX
	NEGL    CX
	ADDL    $5, CX
	SHLL    CX, SI
	ANDL    $31, SI
	LEAQ    ·reversed(SB), DX
	MOVBLZX (DX)(SI*1), SI
	ADDL    BP, SI
	JMP     distance$I

	// CX bits less 4, of one half each, and a tree of 4.
far$I:
	SUBL    $4, CX

direct$I:
` + normalize("BX") + `	SHRL    $1, $RNG
	MOVL    $CODE, DX
	ADDL    BP, BP
	LEAL    1(BP), AX
	SUBL    $RNG, $CODE
	CMOVLMI DX, $CODE
	CMOVLPL AX, BP
	DECL    CX
	JNE     direct$I
	SHLL    $4, BP
	LEAQ    ($Slane_probs+2*const_distAlign)(DI), R15
` + tree(4) + `	ADDL    SI, SI
	ANDL    $31, SI
	LEAQ    ·reversed(SB), DX
	MOVBLZX (DX)(SI*1), SI
	ADDL    BP, SI

distance$I:
	MOVL    SI, ($Slane_rep)(DI)
	MOVL    $LEN, CX

	// CX bytes at the distance SI, less 1. R14: to where. R15: from where.
copy$I:
	MOVQ    $DST, R14
	LEAQ    1(SI), DX
	MOVQ    R14, R15
	SUBQ    DX, R15
	CMPQ    R15, $LOW
	JLT     bad$I
	CMPQ    DX, ($Slane_dict)(DI)
	JHI     bad$I
	ADDQ    R14, CX
	MOVQ    ($Slane_win)(DI), AX
	ADDQ    ($Slane_stop)(DI), AX
	CMPQ    CX, AX
	JHI     bad$I
	MOVQ    CX, $DST
	CMPL    DX, $16
	JCS     repeat$I

long$I:
	MOVOU   (R15), X0
	MOVOU   X0, (R14)
	ADDQ    $16, R15
	ADDQ    $16, R14
	CMPQ    R14, CX
	JCS     long$I
	JMP     next$I

	// A match with its own beginning, which is repeated in X0 as often as it is whole in it.
repeat$I:
	MOVOU   (R15), X0
	LEAQ    ·repeats(SB), AX
	MOVQ    DX, BX
	SHLQ    $4, BX
	ADDQ    AX, BX
	MOVOU   (BX), X1
	PSHUFB  X1, X0
	LEAQ    ·wholes(SB), AX
	MOVBLZX (AX)(DX*1), DX

repeated$I:
	MOVOU   X0, (R14)
	ADDQ    DX, R14
	CMPQ    R14, CX
	JCS     repeated$I
	JMP     next$I

bad$I:
	MOVB    $1, ($Slane_bad)(DI)
	JMP     done

`)
	b.WriteString(one("rep$I", stateProb("isRep")) + branch(stateProb("isRepG0"), "rep1$I") + `	MOVL    R14, SI
` + branch(posProb("isRep0Long"), "rep0$I") + state("afterShortRep") + `	MOVL    ($Slane_rep)(DI), SI
	MOVL    $1, CX
	JMP     copy$I

` + one("rep0$I", posProb("isRep0Long")) + `	JMP     repeatLen$I

` + one("rep1$I", stateProb("isRepG0")) + branch(stateProb("isRepG1"), "rep2$I") + `	MOVL    ($Slane_rep)(DI), AX
	MOVL    ($Slane_rep+4)(DI), BX
	MOVL    BX, ($Slane_rep)(DI)
	MOVL    AX, ($Slane_rep+4)(DI)
	JMP     repeatLen$I

` + one("rep2$I", stateProb("isRepG1")) + branch(stateProb("isRepG2"), "rep3$I") + `	MOVL    ($Slane_rep)(DI), AX
	MOVL    ($Slane_rep+4)(DI), BX
	MOVL    ($Slane_rep+8)(DI), CX
	MOVL    CX, ($Slane_rep)(DI)
	MOVL    AX, ($Slane_rep+4)(DI)
	MOVL    BX, ($Slane_rep+8)(DI)
	JMP     repeatLen$I

` + one("rep3$I", stateProb("isRepG2")) + `	MOVL    ($Slane_rep)(DI), AX
	MOVL    ($Slane_rep+4)(DI), BX
	MOVL    ($Slane_rep+8)(DI), CX
	MOVL    ($Slane_rep+12)(DI), DX
	MOVL    DX, ($Slane_rep)(DI)
	MOVL    AX, ($Slane_rep+4)(DI)
	MOVL    BX, ($Slane_rep+8)(DI)
	MOVL    CX, ($Slane_rep+12)(DI)

repeatLen$I:
` + state("afterRep") + length("rep", "const_repLen") + `	MOVL    SI, CX
	MOVL    ($Slane_rep)(DI), SI
	JMP     copy$I
`)
	return b.String()
}
