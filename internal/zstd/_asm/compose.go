package main

// compose is the assembly of composition.runGeneric. It does not branch on the kind of offset.
const compose = `// func composeSSSE3(c *composition)
// Requires: SSSE3
TEXT ·composeSSSE3(SB), NOSPLIT, $8-8
	MOVQ c+0(FP), DI
	MOVQ composition_seqs(DI), R8
	MOVQ composition_seqs+8(DI), R9
	IMULQ $sequence__size, R9
	ADDQ R8, R9
	MOVQ composition_lits(DI), R10
	ADDQ composition_lit(DI), R10
	MOVQ composition_buf(DI), R11
	MOVQ R11, R12
	ADDQ composition_at(DI), R11
	ADDQ composition_first(DI), R12
	MOVQ composition_window(DI), R13
	MOVL composition_recent(DI), AX
	MOVL (composition_recent+4)(DI), BX
	MOVL (composition_recent+8)(DI), DX
	CMPQ R8, R9
	JEQ  done

loop:
	MOVL  sequence_literals(R8), CX
	MOVL  sequence_match(R8), R14
	MOVL  sequence_offset(R8), SI
	MOVOU (R10), X0
	MOVOU X0, (R11)
	CMPL  CX, $16
	JHI   literals

offset:
	// DI: which of the last offsets, 3 for the last one less 1, 4 for a new one. R15: the offset.
	LEAL    -1(SI), DI
	CMPL    CX, $1
	ADCL    $0, DI
	ADDQ    CX, R10
	ADDQ    CX, R11
	LEAL    -3(SI), R15
	MOVL    $4, CX
	CMPL    SI, $3
	CMOVLHI CX, DI
	LEAL    -1(AX), CX
	CMPL    DI, $3
	CMOVLEQ CX, R15
	CMPL    DI, $2
	CMOVLEQ DX, R15
	CMOVLCC BX, DX
	CMPL    DI, $1
	CMOVLEQ BX, R15
	CMOVLCC AX, BX
	TESTL   DI, DI
	CMOVLNE R15, AX

	// SI: from where.
	LEAL -1(AX), DI
	CMPQ DI, R13
	JCC  done
	MOVL AX, R15
	MOVQ R11, SI
	SUBQ R15, SI
	CMPQ SI, R12
	JB   done
	CMPL DI, $15
	JB   near
	MOVOU (SI), X0
	MOVOU X0, (R11)
	MOVOU 16(SI), X0
	MOVOU X0, 16(R11)
	CMPL  R14, $32
	JHI   long
	ADDQ  R14, R11

next:
	ADDQ $sequence__size, R8
	CMPQ R8, R9
	JB   loop

done:
	MOVQ c+0(FP), DI
	SUBQ composition_lits(DI), R10
	MOVQ R10, composition_lit(DI)
	SUBQ composition_buf(DI), R11
	MOVQ R11, composition_at(DI)
	MOVL AX, composition_recent(DI)
	MOVL BX, (composition_recent+4)(DI)
	MOVL DX, (composition_recent+8)(DI)
	SUBQ composition_seqs(DI), R8
	MOVQ R8, AX
	XORL DX, DX
	MOVL $sequence__size, CX
	DIVQ CX
	MOVQ AX, composition_n(DI)
	RET

literals:
	LEAQ 16(R10), DI
	LEAQ 16(R11), R15
	LEAQ (R11)(CX*1), BP

copy:
	MOVOU (DI), X0
	MOVOU X0, (R15)
	ADDQ  $16, DI
	ADDQ  $16, R15
	CMPQ  R15, BP
	JB    copy
	JMP   offset

long:
	ADDQ R11, R14

longer:
	ADDQ  $32, SI
	ADDQ  $32, R11
	MOVOU (SI), X0
	MOVOU X0, (R11)
	MOVOU 16(SI), X0
	MOVOU X0, 16(R11)
	LEAQ  32(R11), DI
	CMPQ  DI, R14
	JB    longer
	MOVQ  R14, R11
	JMP   next

	// A match with its own beginning.
near:
	ADDQ    R11, R14
	LEAQ    ·wholes(SB), DI
	MOVBLZX (DI)(R15*1), DI
	SHLL    $4, R15
	LEAQ    ·repeats(SB), CX
	MOVOU   (CX)(R15*1), X1
	MOVOU   (SI), X0
	PSHUFB  X1, X0

repeated:
	MOVOU X0, (R11)
	ADDQ  DI, R11
	CMPQ  R11, R14
	JB    repeated
	MOVQ  R14, R11
	JMP   next
`
