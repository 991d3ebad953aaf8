package main

import "strings"

// A state is a cell of one of the three tables: its register, the low bytes of the register, and the
// table.
type state struct{ cell, low, high, table string }

var (
	litLen = state{"AX", "AL", "AH", "R10"}
	mLen   = state{"BX", "BL", "BH", "R11"}
	offset = state{"DX", "DL", "DH", "R12"}
)

func (s state) expand(text string) string {
	return strings.NewReplacer("$CELL", s.cell, "$LOW", s.low, "$HIGH", s.high, "$TABLE", s.table).Replace(text)
}

// fill refills the bits in R8 from R9 to at least 56. The low 6 bits of CX are the number of bits.
const fill = `
	MOVL CX, DI
	NOTL DI
	SHRL $3, DI
	ANDL $7, DI
	SUBQ DI, R9
	MOVQ (R9), R8
	ORL  $56, CX
`

// value computes the value of a cell and its extra bits into DI.
const value = `
	MOVBLZX $LOW, BP
	SUBL    BP, CX
	SHRXQ   CX, R8, DI
	BZHIQ   BP, DI, DI
	MOVQ    $CELL, BP
	SHRQ    $32, BP
	ADDL    BP, DI
`

// next moves to the next state.
const next = `
	MOVBLZX $HIGH, BP
	SUBL    BP, CX
	SHRXQ   CX, R8, DI
	BZHIQ   BP, DI, DI
	SHRL    $16, $CELL
	ADDL    DI, $CELL
	MOVQ    ($TABLE)($CELL*8), $CELL
`

// sequences is the assembly of sequences.runGeneric. It refills the bits only when necessary. A refill
// leaves at least 56 bits. Two lengths need at most 32, and three states at most 26.
func sequences() string {
	return `// func sequencesBMI2(s *sequences)
// Requires: BMI, BMI2
TEXT ·sequencesBMI2(SB), NOSPLIT, $8-8
	MOVQ s+0(FP), DI
	MOVQ sequences_litLen(DI), R10
	LEAQ table_cells(R10), R10
	MOVQ sequences_mLen(DI), R11
	LEAQ table_cells(R11), R11
	MOVQ sequences_offset(DI), R12
	LEAQ table_cells(R12), R12
	MOVQ sequences_l(DI), AX
	MOVQ sequences_m(DI), BX
	MOVQ sequences_o(DI), DX
	MOVQ sequences_dst(DI), R13
	MOVQ sequences_dst+8(DI), R14
	IMULQ $sequence__size, R14
	ADDQ R13, R14
	MOVQ (sequences_bits+backward_buf)(DI), R9
	MOVQ (sequences_bits+backward_start)(DI), CX
	LEAQ -8(R9)(CX*1), CX
	MOVQ CX, bottom-8(SP)
	ADDQ (sequences_bits+backward_pos)(DI), R9
	MOVQ (sequences_bits+backward_used)(DI), DI
	MOVL $64, CX
	SUBL DI, CX
	XORL R15, R15 // sum of the lengths of literals
	XORL SI, SI   // and of matches

loop:
	CMPQ R9, bottom-8(SP)
	JB   done
` + fill + offset.expand(value) + `	MOVL DI, sequence_offset(R13)
	CMPL CX, $32
	JLT  long

lengths:` + mLen.expand(value) + `	MOVL DI, sequence_match(R13)
	ADDQ DI, SI
` + litLen.expand(value) + `	MOVL DI, sequence_literals(R13)
	ADDQ DI, R15
	ADDQ $sequence__size, R13
	CMPQ R13, R14
	JEQ  done
	CMPL CX, $26
	JLT  longer

states:` + litLen.expand(next) + mLen.expand(next) + offset.expand(next) + `	JMP  loop

long:` + fill + `	JMP  lengths

longer:` + fill + `	JMP  states

done:
	MOVQ s+0(FP), DI
	NEGQ CX
	ADDQ $64, CX
	MOVQ CX, (sequences_bits+backward_used)(DI)
	SUBQ (sequences_bits+backward_buf)(DI), R9
	MOVQ R9, (sequences_bits+backward_pos)(DI)
	MOVQ R15, sequences_literals(DI)
	MOVQ SI, sequences_match(DI)
	SUBQ sequences_dst(DI), R13
	MOVQ R13, AX
	XORL DX, DX
	MOVL $sequence__size, CX
	DIVQ CX
	MOVQ AX, sequences_n(DI)
	RET

`
}
