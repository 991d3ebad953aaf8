// Package adler computes Adler-32, the checksum of zlib streams (RFC 1950). It is fast enough for
// package inflate.
package adler

const (
	modulus = 65521

	// blockSize is the number of bytes that the assembly processes at a time. maxBlocks is the number
	// of blocks per call: zlib's limit before the sums must be reduced.
	blockSize = 64
	maxBlocks = 5552 / blockSize
)

// update adds data to the sums a and b. If sums is not nil, it processes whole blocks with it. sums
// returns three sums for n blocks. s1 is the sum of all bytes. before is the sum, over all blocks, of
// s1 of the preceding blocks. s2 weighs the bytes of each block: the first 64 times, the last once.
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
