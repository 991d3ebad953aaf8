//go:build !purego

package zstd

import "golang.org/x/sys/cpu"

//go:generate go -C _asm run .

// useAssembly is true if the CPU has the instructions that the assembly needs. Tests change it.
var useAssembly = cpu.X86.HasBMI1 && cpu.X86.HasBMI2 && cpu.X86.HasSSSE3

// repeats holds, by distance, the source positions of 16 bytes that repeat that many. wholes holds how
// many of the 16 bytes are complete repetitions.
var repeats, wholes = func() (r [step][step]uint8, w [step]uint8) {
	for d := 1; d < step; d++ {
		for i := range step {
			r[d][i] = uint8(i % d)
		}
		w[d] = uint8(step / d * d)
	}
	return
}()

// The assembly uses these variables.
var _, _ = &repeats, &wholes

func (l *lanes) run(bottom int) {
	if useAssembly {
		literalsBMI2(l, bottom)
	} else {
		l.runGeneric(bottom)
	}
}

func (s *sequences) run() {
	if useAssembly {
		sequencesBMI2(s)
	} else {
		s.runGeneric()
	}
}

func (c *composition) run() {
	if useAssembly {
		composeSSSE3(c)
	} else {
		c.runGeneric()
	}
}

func (x *xxh64) stripes(p []byte) {
	if useAssembly && len(p) > 0 {
		stripesAMD64(&x.v, &p[0], len(p))
	} else {
		x.stripesGeneric(p)
	}
}

//go:noescape
func stripesAMD64(v *[4]uint64, p *byte, n int)

//go:noescape
func literalsBMI2(l *lanes, bottom int)

//go:noescape
func sequencesBMI2(s *sequences)

//go:noescape
func composeSSSE3(c *composition)
