#include "textflag.h"

// func hasCLMUL() bool
TEXT ·hasCLMUL(SB), NOSPLIT, $0-1
	MOVL $1, AX
	XORL CX, CX
	CPUID
	SHRL $1, CX
	ANDL $1, CX
	MOVB CX, ret+0(FP)
	RET

// step multiplies x by K, and adds y.
#define step(x, K, y) \
	MOVO      x, X5;        \
	PCLMULQDQ $0x00, K, x;  \
	PCLMULQDQ $0x11, K, X5; \
	PXOR      X5, x;        \
	PXOR      y, x

// next adds to x, multiplied by X7, the bytes at off.
#define next(x, off) \
	MOVOU off(SI), X6; \
	step(x, X7, X6)

// func fold(folded *[16]byte, p []byte, crc uint64)
// Requires: PCLMULQDQ
TEXT ·fold(SB), NOSPLIT, $0-40
	MOVQ  folded+0(FP), DI
	MOVQ  p_base+8(FP), SI
	MOVQ  p_len+16(FP), CX
	MOVQ  crc+32(FP), X4
	MOVOU (SI), X0
	MOVOU 16(SI), X1
	MOVOU 32(SI), X2
	MOVOU 48(SI), X3
	PXOR  X4, X0
	MOVOU ·foldBy+0(SB), X7

loop:
	ADDQ $64, SI
	SUBQ $64, CX
	JEQ  done
	next(X0, 0)
	next(X1, 16)
	next(X2, 32)
	next(X3, 48)
	JMP  loop

done:
	MOVOU ·foldBy+16(SB), X7
	step(X0, X7, X1)
	step(X0, X7, X2)
	step(X0, X7, X3)
	MOVOU X0, (DI)
	RET
