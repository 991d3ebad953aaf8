package whirlpool

// table has the product of each byte's substitute with the first row of the diffusion matrix. The other
// rows are rotations of that row.
var table = makeTable()

// constants are added in the rounds of the key schedule: consecutive bytes of the S-box.
var constants = makeConstants()

// exponential and random are the mini-boxes E and R that the S-box is built from (section 2.3).
var (
	exponential = [16]byte{0x1, 0xb, 0x9, 0xc, 0xd, 0x6, 0xf, 0x3, 0xe, 0x8, 0x7, 0x4, 0xa, 0x2, 0x5, 0x0}
	random      = [16]byte{0x7, 0xc, 0xb, 0xd, 0xe, 0x4, 0x9, 0xf, 0x6, 0x3, 0x8, 0xa, 0x2, 0x5, 0x1, 0x0}
)

func sbox(x byte) byte {
	var inverse [16]byte
	for i, v := range exponential {
		inverse[v] = byte(i)
	}
	u, l := exponential[x>>4], inverse[x&15]
	r := random[u^l]
	return exponential[u^r]<<4 | inverse[l^r]
}

// multiply returns the product in GF(2^8) modulo x^8 + x^4 + x^3 + x^2 + 1.
func multiply(a, b byte) byte {
	var p byte
	for ; b != 0; b >>= 1 {
		if b&1 != 0 {
			p ^= a
		}
		carry := a >> 7
		a = a<<1 ^ carry*0x1d
	}
	return p
}

func makeTable() (t [256]uint64) {
	for x := range t {
		s := sbox(byte(x))
		for _, factor := range [8]byte{1, 1, 4, 1, 8, 5, 2, 9} {
			t[x] = t[x]<<8 | uint64(multiply(s, factor))
		}
	}
	return t
}

func makeConstants() (c [rounds]uint64) {
	for r := range c {
		for i := range 8 {
			c[r] = c[r]<<8 | uint64(sbox(byte(8*r+i)))
		}
	}
	return c
}
