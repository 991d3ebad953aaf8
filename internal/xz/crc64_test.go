package xz

import (
	"hash/crc64"
	"math/rand/v2"
	"testing"
)

// TestCRC64 compares with the standard library, for lengths around those of the steps, for all
// alignments, and in two parts.
func TestCRC64(t *testing.T) {
	rnd := rand.New(rand.NewPCG(5, 6))
	b := make([]byte, 1000)
	for i := range b {
		b[i] = byte(rnd.Uint32())
	}
	for n := range 400 {
		p := b[n%17:][:n]
		crc := rnd.Uint64()
		if got, want := updateCRC64(crc, p), crc64.Update(crc, crc64Table, p); got != want {
			t.Fatalf("%d bytes: %x, want %x", n, got, want)
		}
		cut := rnd.IntN(n + 1)
		if got, want := updateCRC64(updateCRC64(0, p[:cut]), p[cut:]), crc64.Checksum(p, crc64Table); got != want {
			t.Fatalf("%d bytes in two parts: %x, want %x", n, got, want)
		}
	}
	// The catalogue of parametrised CRC algorithms gives this check value for CRC-64/XZ.
	if got := updateCRC64(0, []byte("123456789")); got != 0x995dc9bbdf1939fa {
		t.Errorf("%x", got)
	}
}
