// Package af implements the anti-forensic splitter of LUKS. It inflates key material so that losing any
// bit of it loses the key, which makes a key slot easy to erase. LUKS1 On-Disk Format Specification
// 1.2.3, section 2.4; LUKS2 uses the same.
package af

import (
	"crypto/subtle"
	"encoding/binary"
	"fmt"
	"hash"
	"io"
)

// Stripes is the number of parts a key is split into, in every LUKS image.
const Stripes = 4000

// Split returns key split into [Stripes] stripes, with random data from rand.
func Split(key []byte, newHash func() hash.Hash, rand io.Reader) ([]byte, error) {
	n := len(key)
	s := make([]byte, n*Stripes)
	if _, err := io.ReadFull(rand, s[:n*(Stripes-1)]); err != nil {
		return nil, fmt.Errorf("reading random bytes: %w", err)
	}
	d := fold(s, n, newHash())
	subtle.XORBytes(s[n*(Stripes-1):], d, key)
	clear(d)
	return s, nil
}

// Merge returns the key of n bytes that was split into s. s must have n times [Stripes] bytes.
func Merge(s []byte, n int, newHash func() hash.Hash) []byte {
	if len(s) != n*Stripes {
		panic("af: internal error: wrong length of split key")
	}
	d := fold(s, n, newHash())
	subtle.XORBytes(d, d, s[n*(Stripes-1):])
	return d
}

// fold mixes all stripes of n bytes except the last one.
func fold(s []byte, n int, h hash.Hash) []byte {
	d := make([]byte, n)
	sum := make([]byte, 0, h.Size())
	for i := range Stripes - 1 {
		subtle.XORBytes(d, d, s[i*n:(i+1)*n])
		diffuse(d, h, sum)
	}
	return d
}

// diffuse replaces each block of d, of the hash's length sum, by the hash of its number and content.
// For a shorter last block, the hash is truncated.
func diffuse(d []byte, h hash.Hash, sum []byte) {
	var number [4]byte
	for i := uint32(0); len(d) > 0; i++ {
		block := d[:min(len(d), h.Size())]
		binary.BigEndian.PutUint32(number[:], i)
		h.Reset()
		h.Write(number[:])
		h.Write(block)
		sum = h.Sum(sum[:0])
		d = d[copy(block, sum):]
	}
	clear(sum)
}
