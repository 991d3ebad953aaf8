#include "textflag.h"

// The weights of the bytes of a block.
DATA weights<>+0(SB)/8, $0x393a3b3c3d3e3f40
DATA weights<>+8(SB)/8, $0x3132333435363738
DATA weights<>+16(SB)/8, $0x292a2b2c2d2e2f30
DATA weights<>+24(SB)/8, $0x2122232425262728
DATA weights<>+32(SB)/8, $0x191a1b1c1d1e1f20
DATA weights<>+40(SB)/8, $0x1112131415161718
DATA weights<>+48(SB)/8, $0x090a0b0c0d0e0f10
DATA weights<>+56(SB)/8, $0x0102030405060708
GLOBL weights<>(SB), RODATA|NOPTR, $64

// func sumsAVX2(p *byte, n int) (s1, before, s2 uint64)
// Requires: AVX2
TEXT ·sumsAVX2(SB), NOSPLIT, $0-40
	MOVQ     p+0(FP), SI
	MOVQ     n+8(FP), CX
	VMOVDQU  weights<>+0(SB), Y3
	VMOVDQU  weights<>+32(SB), Y4
	VPCMPEQW Y5, Y5, Y5
	VPABSW   Y5, Y5          // ones
	VPXOR    Y6, Y6, Y6
	VPXOR    Y0, Y0, Y0      // s1
	VPXOR    Y1, Y1, Y1      // before
	VPXOR    Y2, Y2, Y2      // s2

loop:
	VMOVDQU    (SI), Y7
	VMOVDQU    32(SI), Y8
	VPADDQ     Y0, Y1, Y1
	VPSADBW    Y6, Y7, Y9
	VPSADBW    Y6, Y8, Y10
	VPADDQ     Y9, Y0, Y0
	VPADDQ     Y10, Y0, Y0
	VPMADDUBSW Y3, Y7, Y7  // at most 127 times 255
	VPMADDUBSW Y4, Y8, Y8
	VPMADDWD   Y5, Y7, Y7
	VPMADDWD   Y5, Y8, Y8
	VPADDD     Y7, Y2, Y2
	VPADDD     Y8, Y2, Y2
	ADDQ       $64, SI
	DECQ       CX
	JNZ        loop

	VEXTRACTI128 $1, Y0, X3
	VPADDQ       X3, X0, X0
	VPSRLDQ      $8, X0, X3
	VPADDQ       X3, X0, X0
	MOVQ         X0, s1+16(FP)
	VEXTRACTI128 $1, Y1, X3
	VPADDQ       X3, X1, X1
	VPSRLDQ      $8, X1, X3
	VPADDQ       X3, X1, X1
	MOVQ         X1, before+24(FP)
	VEXTRACTI128 $1, Y2, X3
	VPADDD       X3, X2, X2
	VPSHUFD      $0x4e, X2, X3
	VPADDD       X3, X2, X2
	VPSHUFD      $0xb1, X2, X3
	VPADDD       X3, X2, X2
	MOVL         X2, AX
	MOVQ         AX, s2+32(FP)
	VZEROUPPER
	RET
