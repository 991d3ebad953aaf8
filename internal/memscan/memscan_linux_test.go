package memscan

import (
	"crypto/rand"
	"runtime"
	"testing"
)

// TestCount plants copies on the heap and across the end of a chunk.
func TestCount(t *testing.T) {
	for _, n := range []int{8, 64, 200, maxNeedle} {
		heap := make([]byte, 3*chunk)
		rand.Read(heap[:n])
		needle := Mask(heap[:n])
		for i, at := range []int{0, chunk / 2, chunk - n/2, 2*chunk + 1} {
			needle.Reveal(heap[at:][:n])
			if got, err := Count(needle); err != nil || got[0] < i+1 { // short needles are sometimes in a saved register, too
				t.Errorf("%d bytes: found %v, %v, want at least %d", n, got, err, i+1)
			}
		}
		clear(heap)
		if got, err := Count(needle); err != nil || got[0] != 0 {
			t.Errorf("%d bytes: found %v, %v, want none", n, got, err)
		}
		runtime.KeepAlive(heap)
	}
}
