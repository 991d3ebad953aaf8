package xz

import "encoding/binary"

// A filter reverses a filter that precedes LZMA2 (section 5.3).
type filter interface {
	// decode decodes p in place and returns how many bytes are done. p continues where the last call
	// ended: bytes that are not done are passed again, with more data. At the end all bytes must be
	// done.
	decode(p []byte, end bool) int
}

// newFilter returns the filter for these flags.
func newFilter(f filterFlags) (filter, error) {
	name := filterNames[f.id]
	switch f.id {
	case 0x03:
		if len(f.props) != 1 {
			return nil, unsupported("filter %s has %d bytes of properties, not 1", name, len(f.props))
		}
		return &delta{distance: int(f.props[0]) + 1}, nil
	case 0x04:
		switch len(f.props) {
		case 0:
			return newX86(0), nil
		case 4:
			return newX86(binary.LittleEndian.Uint32(f.props)), nil
		}
		return nil, unsupported("filter %s has %d bytes of properties, not 0 or 4", name, len(f.props))
	}
	return nil, unsupported("filter %s", name)
}

// delta adds to each byte the byte at a distance before it (section 5.3.3).
type delta struct {
	distance int
	history  [256]byte
	pos      byte
}

func (d *delta) decode(p []byte, _ bool) int {
	for i := range p {
		p[i] += d.history[byte(d.distance)+d.pos]
		d.history[d.pos] = p[i]
		d.pos--
	}
	return len(p)
}

// x86 converts the absolute targets of calls and jumps to relative ones (section 5.3.2). A call or jump
// has 5 bytes: E8 or E9, and an address whose highest byte is 00 or FF.
type x86 struct {
	pos  uint32 // position of the next byte
	mask uint32 // which of the last bytes look like an opcode
	prev uint32 // position of the last such byte
}

func newX86(start uint32) *x86 { return &x86{pos: start, prev: 1<<32 - 5} }

// x86Allowed and x86Bit are indexed by the mask of preceding bytes that look like opcodes. They say
// whether an opcode is accepted, and which byte of the address the previous one would be in.
var (
	x86Allowed = [8]bool{true, true, true, false, true, false, false, false}
	x86Bit     = [8]uint{0, 1, 2, 2, 3, 3, 3, 3}
)

func (x *x86) decode(p []byte, end bool) int {
	high := func(b byte) bool { return b == 0 || b == 0xff }
	if len(p) < 5 {
		if end {
			return len(p)
		}
		return 0
	}
	if x.pos-x.prev > 5 {
		x.prev = x.pos - 5
	}
	limit := len(p) - 5
	i := 0
	for i <= limit {
		if p[i] != 0xe8 && p[i] != 0xe9 {
			i++
			continue
		}
		at := x.pos + uint32(i)
		offset := at - x.prev
		x.prev = at
		if offset > 5 {
			x.mask = 0
		} else {
			for range offset {
				x.mask = x.mask & 0x77 << 1
			}
		}
		b := p[i+4]
		if high(b) && x86Allowed[x.mask>>1&7] && x.mask>>1 < 0x10 {
			v := binary.LittleEndian.Uint32(p[i+1:])
			var dest uint32
			for {
				dest = v - (at + 5)
				if x.mask == 0 {
					break
				}
				n := x86Bit[x.mask>>1&7]
				if !high(byte(dest >> (24 - n*8))) {
					break
				}
				v = dest ^ (1<<(32-n*8) - 1)
			}
			dest &= 0x01ffffff
			if dest&0x01000000 != 0 {
				dest |= 0xff000000
			}
			binary.LittleEndian.PutUint32(p[i+1:], dest)
			i += 5
			x.mask = 0
		} else {
			i++
			x.mask |= 1
			if high(b) {
				x.mask |= 0x10
			}
		}
	}
	x.pos += uint32(i)
	if end {
		return len(p)
	}
	return i
}
