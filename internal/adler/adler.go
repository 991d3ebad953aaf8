// Package adler computes Adler-32, the checksum of zlib streams (RFC 1950), as fast as it
// has to be beside package inflate.
package adler

const (
	modulus = 65521

	// blockSize is what assembly does at a time, and maxBlocks how many blocks it does in
	// a call: what zlib does before the sums have to be reduced.
	blockSize = 64
	maxBlocks = 5552 / blockSize
)

// update goes on with the sums a and b over data, whole blocks by sums, if that is not
// nil: s1 is the sum of the bytes of n blocks, before the sum of s1 over what is in front of
// each block, and s2 the sum of the bytes of each block, the first one 64 times, the last
// one once.
func update(a, b uint32, data []byte, sums func(p *byte, n int) (s1, before, s2 uint64)) (uint32, uint32) {
	for sums != nil && len(data) >= blockSize {
		n := min(len(data)/blockSize, maxBlocks)
		s1, before, s2 := sums(&data[0], n)
		b = uint32((uint64(b) + blockSize*(uint64(a)*uint64(n)+before) + s2) % modulus)
		a = uint32((uint64(a) + s1) % modulus)
		data = data[n*blockSize:]
	}
	for _, c := range data {
		a = (a + uint32(c)) % modulus
		b = (b + a) % modulus
	}
	return a, b
}
