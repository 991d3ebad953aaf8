//go:build (amd64 || arm64) && !purego

package xts

import "encoding/binary"

// A schedule is the key of the data in one direction, in the form and order in which the assembly reads
// it; xts/_asm uses its offsets. Duplicated fields are for instructions that load operands for two
// blocks.
//
// Where it saves an XOR per block, the assembly keeps block masks XORed with the last round key. To
// multiply such a mask by a power of x, it must also XOR in the last round key and its product with
// that power. The steps hold these values.
type schedule struct {
	whiten [2][blockSize]byte                // first round key XOR last
	last   [2][blockSize]byte                // last round key
	steps  [4][2][blockSize]byte             // for x^8, x^16, x^24, x^32
	middle [maxRoundKeys - 1][blockSize]byte // the other round keys and an unused one, so that 32 divides the size
}

// fill sets the schedule from the round keys k.
func (s *schedule) fill(k *roundKeys, rounds int) {
	last := k[rounds]
	defer clear(last[:])
	for i := range 2 {
		s.last[i] = last
		s.whiten[i] = xorBlocks(&k[0], &last)
	}
	lo, hi := load(last[:])
	for i := range s.steps {
		lo, hi = timesPower(lo, hi, 8)
		var product [blockSize]byte
		store(product[:], lo, hi)
		for j := range 2 {
			s.steps[i][j] = xorBlocks(&product, &last)
		}
		clear(product[:])
	}
	copy(s.middle[:], k[1:rounds])
}

func xorBlocks(a, b *[blockSize]byte) (c [blockSize]byte) {
	for i := 0; i < blockSize; i += 8 {
		v := binary.LittleEndian.Uint64(a[i:]) ^ binary.LittleEndian.Uint64(b[i:])
		binary.LittleEndian.PutUint64(c[i:], v)
	}
	return c
}

// counters are the tweaks of consecutive data units for the assembly that encrypts them: one register
// of tweaks, the increment to the next register, and the mask of valid bits.
type counters struct {
	next, increment, mask [4][2]uint64
}

// set sets the counters to start at t, with lanes tweaks per register.
func (c *counters) set(t tweak, lanes int) {
	for i := range lanes {
		c.next[i] = [2]uint64{t.lo + uint64(i)*t.step, t.hi}
		c.increment[i] = [2]uint64{uint64(lanes) * t.step, 0}
		c.mask[i] = [2]uint64{t.mask, 1<<64 - 1}
	}
}
