package lzma

//go:generate go -C _asm run .

// useAssembly is true if the CPU has the instructions that the assembly needs. Tests change it.
var useAssembly = hasSSSE3()

// reversed holds all 5-bit values with their bits in reverse order.
var reversed = func() (r [32]uint8) {
	for i := range r {
		for k := range 5 {
			r[i] |= uint8(i>>k&1) << (4 - k)
		}
	}
	return
}()

// repeats holds, by distance, the source positions of 16 bytes that repeat that many. wholes holds how
// many of the 16 bytes are complete repetitions.
var repeats, wholes = func() (r [16][16]uint8, w [16]uint8) {
	for d := 1; d < 16; d++ {
		for i := range 16 {
			r[d][i] = uint8(i % d)
		}
		w[d] = uint8(16 / d * d)
	}
	return
}()

// The assembly uses these variables.
var _, _, _ = &reversed, &repeats, &wholes

// fast decodes symbols like generic, but without checks for the ends of input and output. It stops near
// one of them.
func (s *lane) fast() { fastSSSE3(s) }

// fast decodes both lanes until one of them can no longer use fast.
func (p *Pair) fast() { pairSSSE3(p) }

// hasSSSE3 reports whether the CPU has SSSE3.
func hasSSSE3() bool

//go:noescape
func fastSSSE3(s *lane)

//go:noescape
func pairSSSE3(p *Pair)
