// Package pbkdf2 implements PBKDF2 with HMAC (RFC 8018, section 5.2) for secrets: it can be cancelled,
// and leaves no copy of the password. The standard library's version has the password as a string and
// keeps it in blocks that nobody wipes.
package pbkdf2

import (
	"context"
	"encoding/binary"
	"hash"
)

// atOnce is the number of iterations between two checks of the context. They take less than a tenth of
// a second, even with the slowest hash.
const atOnce = 8192

// Key returns n bytes derived from password and salt, or the cause of ctx as soon as ctx is done. The
// caller wipes them. iterations must be at least 1.
func Key(ctx context.Context, newHash func() hash.Hash, password, salt []byte, iterations uint64, n int) ([]byte, error) {
	prf := newHMAC(newHash, password)
	defer prf.wipe()
	size := prf.size()
	out := make([]byte, 0, (n+size-1)/size*size)
	u := make([]byte, size)
	defer clear(u)
	var number [4]byte
	for i := uint32(1); len(out) < n; i++ {
		binary.BigEndian.PutUint32(number[:], i)
		prf.sum(u, salt, number[:])
		out = append(out, u...)
		t := out[len(out)-size:]
		for done := uint64(1); done < iterations; {
			if ctx.Err() != nil {
				clear(out)
				return nil, context.Cause(ctx)
			}
			end := min(iterations, done+atOnce)
			for ; done < end; done++ {
				prf.sum(u, u)
				for j, b := range u {
					t[j] ^= b
				}
			}
		}
	}
	clear(out[n:])
	return out[:n:n], nil
}

// Blocks returns the number of blocks, each with all iterations, that Key computes for n bytes.
func Blocks(newHash func() hash.Hash, n int) int {
	size := newHash().Size()
	return (n + size - 1) / size
}
