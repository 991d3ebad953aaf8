package main

import (
	"fmt"
	"strings"
)

// A lane describes a stream of literals: registers for its bits, its position and its output, and three
// scratch registers that another lane does not use in the same step.
type lane struct {
	index          int
	bits, src, dst string
	tmp, high      string
}

var lanes = []lane{
	{0, "R8", "R12", "(DI)", "AX", "AH"},
	{1, "R9", "R13", "(DI)(SI*1)", "CX", "CH"},
	{2, "R10", "R14", "(DI)(SI*2)", "DX", "DH"},
	{3, "R11", "R15", "(DI)(BX*1)", "AX", "AH"},
}

func (l lane) expand(s string, i int) string {
	return strings.NewReplacer("$B", l.bits, "$SRC", l.src, "$DST", l.dst, "$T", l.tmp, "$H", l.high, "$N", fmt.Sprint(l.index), "$I", fmt.Sprint(i)).Replace(s)
}

// literals is the assembly of lanes.runGeneric.
func literals() string {
	var b strings.Builder
	each := func(s string, i int) {
		for _, l := range lanes {
			b.WriteString(l.expand(s, i))
		}
	}
	b.WriteString(`// func literalsBMI2(l *lanes, bottom int)
// Requires: BMI, BMI2
TEXT ·literalsBMI2(SB), NOSPLIT, $16-16
	MOVQ l+0(FP), BX
	MOVQ lanes_src(BX), AX
	MOVQ bottom+8(FP), CX
	ADDQ AX, CX
	MOVQ CX, bottom-8(SP)
	MOVQ lanes_rounds(BX), CX
	MOVQ CX, rounds-16(SP)
	MOVQ lanes_dst(BX), DI
	ADDQ lanes_out(BX), DI
	MOVQ lanes_segment(BX), SI
	MOVQ lanes_h(BX), BP
	LEAQ huffman_entries(BP), BP
`)
	each("\tMOVQ (lanes_lane+$N*lane__size+lane_v)(BX), $B\n\tMOVQ (lanes_lane+$N*lane__size+lane_pos)(BX), $SRC\n\tADDQ AX, $SRC\n", 0)
	b.WriteString("\tLEAQ (SI)(SI*2), BX\n\nloop:\n\tCMPQ rounds-16(SP), $0\n\tJEQ  done\n")
	each("\tCMPQ $SRC, bottom-8(SP)\n\tJB   done\n", 0)
	for i := range 5 {
		each(`
	MOVQ    $B, $T
	SHRQ    $53, $T
	MOVWLZX (BP)($T*2), $T
	SHLXQ   $T, $B, $B
	MOVB    $H, $I$DST
`, i)
	}
	each(`
	TZCNTQ $B, AX
	MOVL   AX, CX
	SHRL   $3, AX
	ANDL   $7, CX
	SUBQ   AX, $SRC
	MOVQ   ($SRC), $B
	ORQ    $1, $B
	SHLXQ  CX, $B, $B
`, 0)
	b.WriteString(`
	ADDQ $const_literalRound, DI
	DECQ rounds-16(SP)
	JMP  loop

done:
	MOVQ l+0(FP), BX
	SUBQ lanes_dst(BX), DI
	MOVQ DI, lanes_out(BX)
	MOVQ rounds-16(SP), CX
	MOVQ CX, lanes_rounds(BX)
`)
	each("\tSUBQ lanes_src(BX), $SRC\n\tMOVQ $B, (lanes_lane+$N*lane__size+lane_v)(BX)\n\tMOVQ $SRC, (lanes_lane+$N*lane__size+lane_pos)(BX)\n", 0)
	b.WriteString("\tRET\n\n")
	return b.String()
}
