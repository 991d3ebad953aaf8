package main

import (
	"fmt"
	"strings"
)

// hash is the assembly of xxh64.stripesGeneric. Each of four lanes processes 8 bytes of a stripe.
func hash() string {
	var b strings.Builder
	b.WriteString(`// func stripesAMD64(v *[4]uint64, p *byte, n int)
TEXT ·stripesAMD64(SB), NOSPLIT, $0-24
	MOVQ v+0(FP), DI
	MOVQ p+8(FP), SI
	MOVQ n+16(FP), CX
	ADDQ SI, CX
	MOVQ $const_prime1, R12
	MOVQ $const_prime2, R13
`)
	lanes := []string{"R8", "R9", "R10", "R11"}
	for i, v := range lanes {
		fmt.Fprintf(&b, "\tMOVQ %d(DI), %s\n", 8*i, v)
	}
	b.WriteString("\nloop:\n\tCMPQ SI, CX\n\tJCC  done\n")
	for i, in := range []string{"AX", "BX", "DX", "R15"} {
		fmt.Fprintf(&b, "\tMOVQ %d(SI), %s\n\tIMULQ R13, %s\n", 8*i, in, in)
	}
	for i, in := range []string{"AX", "BX", "DX", "R15"} {
		fmt.Fprintf(&b, "\tADDQ %s, %s\n\tROLQ $31, %s\n\tIMULQ R12, %s\n", in, lanes[i], lanes[i], lanes[i])
	}
	b.WriteString("\tADDQ $const_stripe, SI\n\tJMP  loop\n\ndone:\n")
	for i, v := range lanes {
		fmt.Fprintf(&b, "\tMOVQ %s, %d(DI)\n", v, 8*i)
	}
	b.WriteString("\tRET\n\n")
	return b.String()
}
