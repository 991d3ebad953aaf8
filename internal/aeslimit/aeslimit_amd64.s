// Loops of AES rounds that do not access memory. They are an upper bound for every kernel.

//go:build !purego

#include "textflag.h"

// ROUND is one AES round on twelve registers. Zen 5 starts two AES instructions per cycle, each with a
// latency of four cycles, so eight registers would have to be scheduled without a gap.
#define ROUND(k, a, b, c, d, e, f, g, h, i, j, l, m) \
	VAESENC k, a, a \
	VAESENC k, b, b \
	VAESENC k, c, c \
	VAESENC k, d, d \
	VAESENC k, e, e \
	VAESENC k, f, f \
	VAESENC k, g, g \
	VAESENC k, h, h \
	VAESENC k, i, i \
	VAESENC k, j, j \
	VAESENC k, l, l \
	VAESENC k, m, m

#define ROUND512 ROUND(Z12, Z0, Z1, Z2, Z3, Z4, Z5, Z6, Z7, Z8, Z9, Z10, Z11)
#define ROUND256 ROUND(Y12, Y0, Y1, Y2, Y3, Y4, Y5, Y6, Y7, Y8, Y9, Y10, Y11)
#define ROUND128 ROUND(X12, X0, X1, X2, X3, X4, X5, X6, X7, X8, X9, X10, X11)

// func rounds512(n int)
TEXT ·rounds512(SB), NOSPLIT, $0-8
	MOVQ n+0(FP), CX

loop:
	ROUND512
	ROUND512
	DECQ CX
	JNZ  loop
	VZEROUPPER
	RET

// func rounds256(n int)
TEXT ·rounds256(SB), NOSPLIT, $0-8
	MOVQ n+0(FP), CX

loop:
	ROUND256
	ROUND256
	DECQ CX
	JNZ  loop
	VZEROUPPER
	RET

// func rounds128(n int)
TEXT ·rounds128(SB), NOSPLIT, $0-8
	MOVQ n+0(FP), CX

loop:
	ROUND128
	ROUND128
	DECQ CX
	JNZ  loop
	VZEROUPPER
	RET

// func hasVAES() bool
TEXT ·hasVAES(SB), NOSPLIT, $0-1
	MOVL  $7, AX
	XORL  CX, CX
	CPUID
	BTL   $9, CX
	SETCS ret+0(FP)
	RET

// LINE copies 64 bytes and bypasses the caches.
#define LINE(at) \
	PREFETCHT0 (3072+at)(SI) \
	VMOVDQU64  at(SI), Z13   \
	VMOVNTDQ   Z13, at(DI)

// func copy512(dst, src *byte, n int)
TEXT ·copy512(SB), NOSPLIT, $0-24
	MOVQ dst+0(FP), DI
	MOVQ src+8(FP), SI
	MOVQ n+16(FP), CX

loop:
	ROUND512
	LINE(0)
	ROUND512
	LINE(64)
	ROUND512
	LINE(128)
	ROUND512
	LINE(192)
	ROUND512
	LINE(256)
	ROUND512
	LINE(320)
	ROUND512
	ROUND512
	LINE(384)
	ROUND512
	LINE(448)
	ROUND512
	LINE(512)
	ROUND512
	LINE(576)
	ROUND512
	LINE(640)
	ROUND512
	LINE(704)
	ROUND512
	ADDQ $768, SI
	ADDQ $768, DI
	DECQ CX
	JNZ  loop
	SFENCE
	VZEROUPPER
	RET
