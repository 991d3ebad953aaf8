package lzma

// bit decodes a bit with probability *p. Like liblzma, it normalizes first, so that a chunk needs no
// surplus byte (lzma-specification, "Bit decoding").
func bit(p *uint16, rng, code uint32, s *lane, in int) (uint, uint32, uint32, int) {
	if rng < topValue {
		rng, code = rng<<8, code<<8|uint32(s.packedIn[in])
		in++
	}
	v := uint32(*p)
	bound := rng >> probBits * v
	if code < bound {
		*p = uint16(v + (1<<probBits-v)>>moveBits)
		return 0, bound, code, in
	}
	*p = uint16(v - v>>moveBits)
	return 1, rng - bound, code - bound, in
}

// generic decodes symbols until the output reaches stop, or the input passes its end, which is an
// error.
func (s *lane) generic(stop int) {
	var (
		rng, code, in = s.rng, s.code, s.in
		win           = s.win[:s.stop]
		out           = s.out
		state         = uint(s.state)
		rep           = s.rep
		b             uint
	)
	for out < stop && in <= s.inEnd {
		pos := uint(out-s.base) & uint(s.posMask)
		if b, rng, code, in = bit(&s.probs[isMatch+state*maxPos+pos], rng, code, s, in); b == 0 {
			probs := s.literalProbs(out)
			sym := uint(1)
			if state < afterMatches {
				for sym < 0x100 {
					b, rng, code, in = bit(&probs[sym], rng, code, s, in)
					sym = sym<<1 | b
				}
			} else {
				match, same := uint(win[uint(out)-uint(rep[0])-1]), uint(0x100)
				for sym < 0x100 {
					match <<= 1
					which := match & same
					b, rng, code, in = bit(&probs[same+which+sym], rng, code, s, in)
					sym = sym<<1 | b
					if b == 0 {
						which ^= same
					}
					same &= which
				}
			}
			win[out] = byte(sym)
			out++
			state = uint(afterLiteral[state])
			continue
		}
		lengths := uint(repLen)
		if b, rng, code, in = bit(&s.probs[isRep+state], rng, code, s, in); b == 0 {
			lengths = matchLen
			rep[1], rep[2], rep[3] = rep[0], rep[1], rep[2]
			state = uint(afterMatch[state])
		} else {
			if b, rng, code, in = bit(&s.probs[isRepG0+state], rng, code, s, in); b == 0 {
				if b, rng, code, in = bit(&s.probs[isRep0Long+state*maxPos+pos], rng, code, s, in); b == 0 {
					if !s.valid(rep[0], out) {
						s.bad = true
						break
					}
					win[out] = win[uint(out)-uint(rep[0])-1]
					out++
					state = uint(afterShortRep[state])
					continue
				}
			} else if b, rng, code, in = bit(&s.probs[isRepG1+state], rng, code, s, in); b == 0 {
				rep[0], rep[1] = rep[1], rep[0]
			} else if b, rng, code, in = bit(&s.probs[isRepG2+state], rng, code, s, in); b == 0 {
				rep[0], rep[1], rep[2] = rep[2], rep[0], rep[1]
			} else {
				rep[0], rep[1], rep[2], rep[3] = rep[3], rep[0], rep[1], rep[2]
			}
			state = uint(afterRep[state])
		}

		// Decode the length. It has three ranges: two of 8 values, and one of 256.
		tree, end, least := lengths+lenLow+pos*8, uint(8), uint(minMatch)
		if b, rng, code, in = bit(&s.probs[lengths+lenChoice], rng, code, s, in); b != 0 {
			tree, end, least = lengths+lenMid+pos*8, 8, minMatch+8
			if b, rng, code, in = bit(&s.probs[lengths+lenChoice2], rng, code, s, in); b != 0 {
				tree, end, least = lengths+lenHigh, 256, minMatch+16
			}
		}
		sym := uint(1)
		for sym < end {
			b, rng, code, in = bit(&s.probs[tree+sym], rng, code, s, in)
			sym = sym<<1 | b
		}
		length := int(least + sym - end)

		if lengths == matchLen {
			tree = distSlot + uint(min(length-minMatch, 3))*64
			sym = 1
			for sym < 64 {
				b, rng, code, in = bit(&s.probs[tree+sym], rng, code, s, in)
				sym = sym<<1 | b
			}
			slot := sym - 64
			dist := slot
			if slot >= 4 {
				n := slot>>1 - 1 // number of bits below the top two
				dist = (2 | slot&1) << n
				tree = distTree + dist - slot
				if slot >= 14 {
					// All bits except the last 4 have a fixed probability of one half.
					var direct uint32
					for range n - 4 {
						if rng < topValue {
							rng, code = rng<<8, code<<8|uint32(s.packedIn[in])
							in++
						}
						rng >>= 1
						code -= rng
						minus := 0 - code>>31 // all ones if code was less than the bound
						code += rng & minus
						direct = direct<<1 + minus + 1
					}
					dist += uint(direct) << 4
					tree, n = distAlign, 4
				}
				// The lowest bit comes first.
				sym = 1
				for i := range n {
					b, rng, code, in = bit(&s.probs[tree+sym], rng, code, s, in)
					sym = sym<<1 | b
					dist += b << i
				}
			}
			rep[0] = uint32(dist)
		}
		// A distance of 2^32 is an end marker, which LZMA2 does not have.
		if !s.valid(rep[0], out) || length > len(win)-out {
			s.bad = true
			break
		}
		for from, end := out-int(rep[0])-1, out+length; out < end; {
			// Each round doubles the bytes to copy from.
			out += copy(win[out:end], win[from:out])
		}
	}
	s.rng, s.code, s.in, s.out, s.state, s.rep = rng, code, in, out, uint32(state), rep
}

// literalProbs returns the probabilities of a literal at out (lzma-specification, "Literal decoding").
func (s *lane) literalProbs(out int) *[litProbs]uint16 {
	var last uint
	if out > s.low {
		last = uint(s.win[out-1])
	}
	context := (uint(out-s.base)<<8 + last) & uint(s.litMask) << s.lc // times 0x100
	return (*[litProbs]uint16)(s.probs[literal+context*(litProbs/0x100):])
}

// valid reports whether the distance rep+1 lies within the dictionary.
func (s *lane) valid(rep uint32, out int) bool { return uint(rep) < uint(min(out-s.low, s.dict)) }
