package adler

import (
	"bytes"
	"hash/adler32"
	"math/rand/v2"
	"testing"
)

// TestChecksum compares with the standard library: at all lengths of a few blocks, at lengths with
// several reductions, and with bytes of 0xff.
func TestChecksum(t *testing.T) {
	random := make([]byte, 1<<18)
	for i := range random {
		random[i] = byte(rand.Uint32())
	}
	largest := bytes.Repeat([]byte{0xff}, len(random))
	lengths := []int{5551, 5552, 5553, 5536, 5535, 11104, 65535, 65536, 1<<18 - 1}
	for n := range 300 {
		lengths = append(lengths, n)
	}
	for _, n := range lengths {
		for _, data := range [][]byte{random[:n], random[1:][:n], largest[:n]} {
			if got, want := Checksum(data), adler32.Checksum(data); got != want {
				t.Fatalf("%d bytes: %#x, want %#x", n, got, want)
			}
		}
	}
}

func FuzzChecksum(f *testing.F) {
	f.Add([]byte("Wikipedia"))
	f.Fuzz(func(t *testing.T, data []byte) {
		if got, want := Checksum(data), adler32.Checksum(data); got != want {
			t.Fatalf("%#x, want %#x", got, want)
		}
	})
}
