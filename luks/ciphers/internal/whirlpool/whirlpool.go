// Package whirlpool implements the hash Whirlpool of ISO/IEC 10118-3:2004, as defined by V. Rijmen and
// P. Barreto in "The Whirlpool hashing function" (2003). Old LUKS images use it.
package whirlpool

import (
	"encoding/binary"
	"hash"
	"math/bits"
)

// Size and BlockSize are the lengths of a digest and of a block in bytes.
const (
	Size      = 64
	BlockSize = 64
)

const (
	rounds      = 10
	lengthBytes = 32 // length of the bit count at the end of the padding
)

// digest is a hash in progress.
type digest struct {
	state  [8]uint64
	buffer [BlockSize]byte
	n      int    // bytes in buffer
	length uint64 // bytes written
}

// New returns a new hash.
func New() hash.Hash { return new(digest) }

func (d *digest) Reset() { *d = digest{} }

func (d *digest) Size() int { return Size }

func (d *digest) BlockSize() int { return BlockSize }

func (d *digest) Write(p []byte) (int, error) {
	written := len(p)
	d.length += uint64(len(p))
	for len(p) > 0 {
		k := copy(d.buffer[d.n:], p)
		d.n += k
		p = p[k:]
		if d.n == BlockSize {
			d.block()
			d.n = 0
		}
	}
	return written, nil
}

// Sum appends the digest of the data written so far to p. More data can be written afterwards.
func (d *digest) Sum(p []byte) []byte {
	c := *d
	c.buffer[c.n] = 0x80
	clear(c.buffer[c.n+1:])
	if c.n >= BlockSize-lengthBytes {
		c.block()
		c.buffer = [BlockSize]byte{}
	}
	// The bit count has 256 bits. At most 67 of them are used here.
	binary.BigEndian.PutUint64(c.buffer[BlockSize-16:], c.length>>61)
	binary.BigEndian.PutUint64(c.buffer[BlockSize-8:], c.length<<3)
	c.block()
	for _, v := range c.state {
		p = binary.BigEndian.AppendUint64(p, v)
	}
	return p
}

// block mixes the buffer into the state with the block cipher W, keyed by the state, in
// Miyaguchi-Preneel mode.
func (d *digest) block() {
	var block [8]uint64
	for i := range block {
		block[i] = binary.BigEndian.Uint64(d.buffer[8*i:])
	}
	key, state := d.state, block
	for i := range state {
		state[i] ^= key[i]
	}
	for r := range rounds {
		key = round(&key)
		key[0] ^= constants[r]
		state = round(&state)
		for i := range state {
			state[i] ^= key[i]
		}
	}
	for i := range state {
		d.state[i] ^= state[i] ^ block[i]
	}
}

// round applies the non-linear layer, the cyclical permutation and the linear diffusion of one round.
func round(in *[8]uint64) (out [8]uint64) {
	for i := range out {
		out[i] = table[byte(in[i]>>56)] ^
			bits.RotateLeft64(table[byte(in[(i-1)&7]>>48)], -8) ^
			bits.RotateLeft64(table[byte(in[(i-2)&7]>>40)], -16) ^
			bits.RotateLeft64(table[byte(in[(i-3)&7]>>32)], -24) ^
			bits.RotateLeft64(table[byte(in[(i-4)&7]>>24)], -32) ^
			bits.RotateLeft64(table[byte(in[(i-5)&7]>>16)], -40) ^
			bits.RotateLeft64(table[byte(in[(i-6)&7]>>8)], -48) ^
			bits.RotateLeft64(table[byte(in[(i-7)&7])], -56)
	}
	return out
}
