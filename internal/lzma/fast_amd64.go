package lzma

//go:generate go -C _asm run .

// useAssembly is whether the CPU has what the assembly takes. Tests set it.
var useAssembly = hasSSSE3()

// reversed has 5 bits in reverse order.
var reversed = func() (r [32]uint8) {
	for i := range r {
		for k := range 5 {
			r[i] |= uint8(i>>k&1) << (4 - k)
		}
	}
	return
}()

// repeats has by distance the places of 16 bytes that repeat so many, and wholes how many of
// them are whole repetitions.
var repeats, wholes = func() (r [16][16]uint8, w [16]uint8) {
	for d := 1; d < 16; d++ {
		for i := range 16 {
			r[d][i] = uint8(i % d)
		}
		w[d] = uint8(16 / d * d)
	}
	return
}()

// The assembly reads these.
var _, _, _ = &reversed, &repeats, &wholes

// fast decodes symbols as generic does, without looking at the ends of input and output, up to
// near one of them.
func (s *lane) fast() { fastSSSE3(s) }

// fast goes on with both lanes, until one of them would not go on with fast.
func (p *Pair) fast() { pairSSSE3(p) }

// hasSSSE3 reports whether the CPU has SSSE3.
func hasSSSE3() bool

//go:noescape
func fastSSSE3(s *lane)

//go:noescape
func pairSSSE3(p *Pair)
