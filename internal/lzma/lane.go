package lzma

import "encoding/binary"

// A lane is the state of one LZMA decoder that the decoding loops use. The assembly depends on its
// fields.
type lane struct {
	rng, code uint32
	in, inEnd int // in packedIn: next byte and end of the chunk
	win       []byte
	out, stop int       // in win: next byte and end of the chunk
	low       int       // in win: lower bound of the dictionary
	base      int       // in win: origin of positions
	dict      int       // size of the dictionary
	rep       [4]uint32 // the last distances, minus 1
	state     uint32
	lc        uint32 // bits of the last byte that select the probabilities of a literal
	litMask   uint32 // mask of the position from bit 8 on, and of the last byte below
	posMask   uint32 // mask of the position for most other probabilities
	bad       bool   // an invalid distance or length

	probs    [allProbs]uint16
	packedIn [maxPacked + packedEnd]byte
}

// setProps sets lc, lp and pb from the properties byte (lzma-specification, "LZMA properties"). LZMA2
// requires lc+lp <= 4.
func (s *lane) setProps(b byte) error {
	lc, lp, pb := uint(b%9), uint(b/9%5), uint(b/45)
	if pb > 4 || lc+lp > 4 {
		return corrupt("invalid properties %#02x: lc %d, lp %d, pb %d", b, lc, lp, pb)
	}
	s.lc, s.litMask, s.posMask = uint32(lc), 0x100<<lp-0x100>>lc, 1<<pb-1
	return nil
}

// reset sets the state and the probabilities to their initial values.
func (s *lane) reset() {
	s.state, s.rep = 0, [4]uint32{}
	for i := range s.probs {
		s.probs[i] = probInit
	}
}

// begin starts the range decoder on a chunk of n bytes in packedIn.
func (s *lane) begin(n int) error {
	if s.packedIn[0] != 0 {
		return corrupt("first byte of a compressed chunk is %#02x, not 0", s.packedIn[0])
	}
	s.rng, s.code = 1<<32-1, binary.BigEndian.Uint32(s.packedIn[1:])
	s.in, s.inEnd = 5, n
	return nil
}

// decode decodes symbols up to the end of the chunk, to an error, or until quick changes.
func (s *lane) decode() {
	switch {
	case s.quick():
		s.fast()
	case useAssembly && s.out == s.low:
		s.generic(s.out + 1)
	default:
		s.generic(s.stop)
	}
}

// quick reports whether fast can continue. It needs a preceding byte, and space behind the output.
func (s *lane) quick() bool {
	return useAssembly && s.out > s.low && s.out <= len(s.win)-slack
}
