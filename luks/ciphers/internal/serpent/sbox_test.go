package serpent

import "testing"

// specified are the S-boxes of the specification (R. Anderson, E. Biham, L. Knudsen: "Serpent: A Proposal for
// the Advanced Encryption Standard", appendix A.5).
var specified = [8][16]byte{
	{3, 8, 15, 1, 10, 6, 5, 11, 14, 13, 4, 2, 7, 0, 9, 12},
	{15, 12, 2, 7, 9, 0, 5, 10, 1, 11, 14, 8, 6, 13, 3, 4},
	{8, 6, 7, 9, 3, 12, 10, 15, 13, 1, 14, 4, 0, 11, 5, 2},
	{0, 15, 11, 8, 12, 9, 6, 3, 13, 1, 2, 4, 10, 7, 5, 14},
	{1, 15, 8, 3, 12, 0, 11, 6, 2, 5, 4, 10, 9, 14, 7, 13},
	{15, 5, 2, 11, 4, 10, 9, 12, 0, 3, 14, 8, 13, 6, 7, 1},
	{7, 2, 12, 5, 8, 4, 6, 11, 14, 9, 1, 15, 13, 3, 10, 0},
	{1, 13, 15, 0, 14, 8, 2, 11, 7, 4, 12, 10, 9, 3, 5, 6},
}

// TestSBoxes puts all 16 values through each S-box at once, one bit of each word per value, and through
// its inverse.
func TestSBoxes(t *testing.T) {
	type sbox func(r0, r1, r2, r3 *uint32)
	forward := [8]sbox{sb0, sb1, sb2, sb3, sb4, sb5, sb6, sb7}
	inverse := [8]sbox{sb0Inv, sb1Inv, sb2Inv, sb3Inv, sb4Inv, sb5Inv, sb6Inv, sb7Inv}
	for n, table := range specified {
		var in, want [4]uint32
		for x, y := range table {
			for i := range 4 {
				in[i] |= uint32(x>>i&1) << x
				want[i] |= uint32(y>>i&1) << x
			}
		}
		got := in
		forward[n](&got[0], &got[1], &got[2], &got[3])
		for i := range got {
			got[i] &= 0xffff
		}
		if got != want {
			t.Errorf("S-box %d: %04x, want %04x", n, got, want)
		}
		inverse[n](&got[0], &got[1], &got[2], &got[3])
		for i := range got {
			got[i] &= 0xffff
		}
		if got != in {
			t.Errorf("inverse of S-box %d: %04x, want %04x", n, got, in)
		}
	}
}

// TestLinear compares the linear transformation with its bitwise definition, and inverts it.
func TestLinear(t *testing.T) {
	rotate := func(x uint32, n int) uint32 { return x<<n | x>>(32-n) }
	for bit := range 128 {
		var in [4]uint32
		in[bit/32] = 1 << (bit % 32)
		w := in
		w[0], w[2] = rotate(w[0], 13), rotate(w[2], 3)
		w[1], w[3] = w[1]^w[0]^w[2], w[3]^w[2]^w[0]<<3
		w[1], w[3] = rotate(w[1], 1), rotate(w[3], 7)
		w[0], w[2] = w[0]^w[1]^w[3], w[2]^w[3]^w[1]<<7
		w[0], w[2] = rotate(w[0], 5), rotate(w[2], 22)
		got := in
		linear(&got[0], &got[1], &got[2], &got[3])
		if got != w {
			t.Errorf("bit %d: %08x, want %08x", bit, got, w)
		}
		linearInv(&got[0], &got[1], &got[2], &got[3])
		if got != in {
			t.Errorf("bit %d back: %08x, want %08x", bit, got, in)
		}
	}
}
