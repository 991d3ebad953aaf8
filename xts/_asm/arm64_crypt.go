package main

const armGroup = 128 // bytes in the eight registers of blocks

// Registers of an arm64 kernel. Blocks are in V0 to V7 and their masks, XORed with the last round key,
// in V8 to V15. The other round keys start at V16.
const (
	armLoaded    = 30 // and 31: the next two blocks
	armReduction = "R13"
	armLow       = "R10" // the mask to make next, its lower half
	armHigh      = "R11" // and its upper half
	armLastLow   = "R14" // the last round key
	armLastHigh  = "R15"
)

// armMade are the halves of masks that are made but not in use yet. They belong to the blocks of two
// phases: the masks of one phase are made while those of the other are in use.
var armMade = [4][2]string{{"R19", "R20"}, {"R21", "R22"}, {"R23", "R24"}, {"R25", "R8"}}

// A turnARM64 is one iteration of the loop of an arm64 kernel, named by its AES instructions. It runs
// all rounds of eight blocks: on average, half of them for the current group and half for the next
// group. As in skewedAVX512, the registers are four phases, each a quarter of the rounds ahead of the
// next. The loop has one iteration more than there are groups.
//
// The vector pipes decide the time, so other work must avoid them. The figures are from the scheduling
// models of LLVM 19 for Neoverse, which are based on Arm's Software Optimization Guides. AESE, AESMC
// and PMULL2 take two cycles, on one of N1's two pipes and on all four of V1 and V2. N1's other pipe
// has room for the rest. AESE and AESMC are fused, which is why nothing must come between them.
// Fourteen rounds then take fourteen cycles of one pipe, and three and a half of four pipes. On Apple's
// Firestorm the pair AESD, AESIMC is issued once and takes three cycles (measured by Dougall Johnson,
// dougallj.github.io/applecpu).
//
// Hence masks are made in general registers, whose pipes are idle, and not with PMULL2 and shifts. Of
// the two instructions that move a mask to a vector register, only the second uses a vector pipe. So
// each block needs three instructions on vector pipes besides the rounds: this one, and the XORs before
// and after.
//
// Cycles per block for encryption with units of 512 bytes, by llvm-mca 19. It does not model the
// fusion, so AESMC is left out. For units of 4096 bytes the figures differ by at most 3 %:
//
//	                           AES-256               AES-128
//	                        N1     V1    V2       N1     V1    V2
//	limit of the pipes    14.00   3.50  3.50    10.00   2.50  2.50
//	loop in phases        16.63   5.57  5.58    12.63   4.60  4.57
//	this                  14.00   4.38  4.50    10.00   3.38  3.50
//
// A block takes 38 instructions with AES-256 and 30 with AES-128; in phases it took 36 and 28. None of
// these CPUs was available for measurements.
type turnARM64 struct {
	aes, mix string
	rounds   int
}

func (k turnARM64) crypt() code {
	const keys, dst, src, masks, left, groups, inUnit, ending, scratch = "R0", "R1", "R2", "R3", "R4", "R5", "R6", "R7", "R9"
	var b code
	b.op("MOVD s+0(FP), %s", keys)
	b.op("MOVD rounds+8(FP), R8")
	b.op("MOVD dst+16(FP), %s", dst) // output of the next group
	b.op("MOVD src+24(FP), %s", src)
	b.op("MOVD masks+32(FP), %s", masks)
	b.op("MOVD units+40(FP), %s", left) // groups of all units that are not started
	b.op("MOVD groups+48(FP), %s", groups)
	b.op("MUL %s, %s, %s", groups, left, left)
	b.op("MOVD $scratch-%d(SP), %s", armGroup, scratch)
	b.op("MOVD %s, %s", scratch, ending) // output of the current group
	b.op("MOVD $%#x, %s", reduction, armReduction)
	b.op("ADD $%d, %s, R12", lastOffset, keys)
	b.op("LDP (R12), (%s, %s)", armLastLow, armLastHigh)
	b.op("VLD1 (%s), [V%d.B16]", keys, armKeys) // the first key is whiten
	b.op("ADD $%d, %s, R12", middleOffset, keys)
	b = append(b, loadARM64("R12", armKeys+1, 9)...)
	for i := range 16 {
		b.op("VEOR V%d.B16, V%d.B16, V%d.B16", i, i, i)
	}
	b.op("CMP $14, R8")
	b.op("BNE unit128")
	b = append(b, loadARM64("R12", armKeys+10, 4)...)
	for _, k.rounds = range []int{14, 10} {
		bits := keyBits(k.rounds)
		b.op("unit%d:", bits)
		b.op("LDP.P 16(%s), (%s, %s)", masks, armLow, armHigh)
		b.op("MOVD %s, %s", groups, inUnit)
		b.op("turn%d:", bits)
		b = append(b, k.code(src, ending)...)
		b.op("ADD $%d, %s, %s", armGroup, src, src)
		b.op("MOVD %s, %s", dst, ending)
		b.op("ADD $%d, %s, %s", armGroup, dst, dst)
		b.op("SUBS $1, %s, %s", left, left)
		b.op("BLE end%d", bits)
		b.op("SUBS $1, %s, %s", inUnit, inUnit)
		b.op("BNE turn%d", bits)
		b.op("JMP unit%d", bits)

		// One more iteration ends the last group. It reads that group again as input.
		b.op("end%d:", bits)
		b.op("BLT wipe")
		b.op("SUB $%d, %s, %s", armGroup, src, src)
		b.op("JMP turn%d", bits)
	}
	b.op("wipe:")
	b.op("VEOR V0.B16, V0.B16, V0.B16")
	for offset := 0; offset < armGroup; offset += 32 {
		b.op("FSTPQ (F0, F0), %d(%s)", offset, scratch)
	}
	b.op("RET")
	return b
}

// code makes one iteration. The masks and the input of the next blocks of a phase are prepared in the
// quarter before, spread between the rounds.
func (k turnARM64) code(src, ending string) code {
	var b, main code
	schedule := skewedGroup{rounds: k.rounds}
	before := k.prepare(0, src)
	for step := range k.rounds {
		for p := range phases {
			round := (step - schedule.ending(p) + k.rounds) % k.rounds
			if round > 0 {
				for i := p * phaseWidth; i < (p+1)*phaseWidth; i++ {
					// The two instructions are one entry, so that nothing comes between them.
					main.op("%s V%d.B16, V%d.B16\n\t%s V%d.B16, V%d.B16", k.aes, armKeys+round-1, i, k.mix, i, i)
				}
				continue
			}
			b = append(b, merge(main, before)...)
			main = k.turnOver(p, ending)
			before = nil
			if p+1 < phases {
				before = k.prepare(p+1, src)
			}
		}
	}
	return append(b, main...)
}

// prepare makes the masks of the next blocks of phase p, multiplying each by x to get the next, and
// loads the blocks. Its registers are free after turnOver of the previous phase, which runs at the same
// time and comes first.
func (k turnARM64) prepare(p int, src string) code {
	var b code
	for i := p * phaseWidth; i < (p+1)*phaseWidth; i++ {
		made := armMade[i%len(armMade)]
		b.op("EOR %s, %s, %s", armLastLow, armLow, made[0])
		b.op("EOR %s, %s, %s", armLastHigh, armHigh, made[1])
		b.op("AND %s->63, %s, R12", armHigh, armReduction)
		b.op("EXTR $63, %s, %s, %s", armLow, armHigh, armHigh)
		b.op("EOR %s<<1, R12, %s", armLow, armLow)
	}
	b.op("FLDPQ %d(%s), (F%d, F%d)", 16*phaseWidth*p, src, armLoaded, armLoaded+1)
	return b
}

// turnOver ends the blocks of phase p and starts the next ones.
func (k turnARM64) turnOver(p int, ending string) code {
	var b code
	first := p * phaseWidth
	for i := first; i < first+phaseWidth; i++ {
		b.op("%s V%d.B16, V%d.B16", k.aes, armKeys+k.rounds-1, i)
	}
	for i := first; i < first+phaseWidth; i++ {
		b.op("VEOR V%d.B16, V%d.B16, V%d.B16", 8+i, i, i)
	}
	b.op("FSTPQ (F%d, F%d), %d(%s)", first, first+1, 16*first, ending)
	for i := first; i < first+phaseWidth; i++ {
		made := armMade[i%len(armMade)]
		b.op("FMOVD %s, F%d", made[0], 8+i)
		b.op("VMOV %s, V%d.D[1]", made[1], 8+i)
		b.op("VEOR V%d.B16, V%d.B16, V%d.B16", armLoaded+i-first, 8+i, i)
	}
	return b
}
