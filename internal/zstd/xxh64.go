package zstd

import (
	"encoding/binary"
	"math/bits"
)

const (
	prime1 uint64 = 0x9e3779b185ebca87
	prime2 uint64 = 0xc2b2ae3d27d4eb4f
	prime3 uint64 = 0x165667b19e3779f9
	prime4 uint64 = 0x85ebca77c2b2ae63
	prime5 uint64 = 0x27d4eb2f165667c5
	stripe        = 32
)

// An xxh64 computes the checksum of frames, XXH64 with a seed of 0 (3.1.1).
type xxh64 struct {
	v    [4]uint64
	n    uint64
	part [stripe]byte
	used int // used bytes of part
}

func (x *xxh64) reset() {
	a, b := prime1, prime2
	*x = xxh64{v: [4]uint64{a + b, b, 0, -a}}
}

func (x *xxh64) write(p []byte) {
	x.n += uint64(len(p))
	if x.used > 0 {
		n := copy(x.part[x.used:], p)
		if x.used, p = x.used+n, p[n:]; x.used < stripe {
			return
		}
		x.stripes(x.part[:])
	}
	whole := len(p) &^ (stripe - 1)
	x.stripes(p[:whole])
	x.used = copy(x.part[:], p[whole:])
}

// stripesGeneric processes complete stripes.
func (x *xxh64) stripesGeneric(p []byte) {
	a, b, c, d := x.v[0], x.v[1], x.v[2], x.v[3]
	for ; len(p) >= stripe; p = p[stripe:] {
		q := (*[stripe]byte)(p)
		a = xxhRound(a, binary.LittleEndian.Uint64(q[0:]))
		b = xxhRound(b, binary.LittleEndian.Uint64(q[8:]))
		c = xxhRound(c, binary.LittleEndian.Uint64(q[16:]))
		d = xxhRound(d, binary.LittleEndian.Uint64(q[24:]))
	}
	x.v = [4]uint64{a, b, c, d}
}

func xxhRound(v, in uint64) uint64 { return bits.RotateLeft64(v+in*prime2, 31) * prime1 }

func (x *xxh64) digest() uint64 {
	h := prime5
	if x.n >= stripe {
		h = bits.RotateLeft64(x.v[0], 1) + bits.RotateLeft64(x.v[1], 7) + bits.RotateLeft64(x.v[2], 12) + bits.RotateLeft64(x.v[3], 18)
		for _, v := range x.v {
			h = (h^xxhRound(0, v))*prime1 + prime4
		}
	}
	h += x.n
	p := x.part[:x.used]
	for ; len(p) >= 8; p = p[8:] {
		h = bits.RotateLeft64(h^xxhRound(0, binary.LittleEndian.Uint64(p)), 27)*prime1 + prime4
	}
	if len(p) >= 4 {
		h = bits.RotateLeft64(h^uint64(binary.LittleEndian.Uint32(p))*prime1, 23)*prime2 + prime3
		p = p[4:]
	}
	for _, v := range p {
		h = bits.RotateLeft64(h^uint64(v)*prime5, 11) * prime1
	}
	h = (h ^ h>>33) * prime2
	h = (h ^ h>>29) * prime3
	return h ^ h>>32
}
