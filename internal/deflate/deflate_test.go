package deflate

import (
	"bytes"
	"compress/flate"
	"io"
	"math/rand/v2"
	"testing"
)

// TestCompress decompresses pieces with the standard library. One Writer compresses all of them, also
// into slices one byte too short.
func TestCompress(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	for _, window := range []int{4096, MaxWindow} {
		w, err := NewWriter(window)
		if err != nil {
			t.Fatal(err)
		}
		for _, size := range []int{1, 511, 4096, 64 << 10, 2 << 20} {
			for _, letters := range []int{1, 3, 256} {
				src := make([]byte, size)
				for i := range src {
					src[i] = byte(rnd.IntN(letters))
				}
				dst := make([]byte, size+size/8+64)
				n := w.Compress(dst, src)
				if n == 0 || letters == 1 && size > 4096 && n > size/50 {
					t.Errorf("%d bytes of %d letters: compressed to %d", size, letters, n)
				}
				got, err := io.ReadAll(flate.NewReader(bytes.NewReader(dst[:n])))
				if err != nil || !bytes.Equal(got, src) {
					t.Errorf("%d bytes of %d letters: got %d bytes back, %v", size, letters, len(got), err)
				}
				if n := w.Compress(dst[:n-1], src); n != 0 {
					t.Errorf("%d bytes of %d letters: returned %d for a slice that is too short", size, letters, n)
				}
			}
		}
	}
	if _, err := NewWriter(MaxWindow + 1); err == nil {
		t.Error("NewWriter accepted too long a window")
	}
}

// TestWindow checks that references stay within the window: the Writer does not find repetitions at
// longer distances.
func TestWindow(t *testing.T) {
	rnd := rand.New(rand.NewPCG(3, 4))
	src := make([]byte, 64<<10)
	for i := range 16 << 10 {
		src[i] = byte(rnd.Uint32())
	}
	for i := 16 << 10; i < len(src); i += 16 << 10 {
		copy(src[i:], src[:16<<10])
	}
	length := map[int]int{}
	for _, window := range []int{4096, MaxWindow} {
		w, err := NewWriter(window)
		if err != nil {
			t.Fatal(err)
		}
		length[window] = w.Compress(make([]byte, 2*len(src)), src)
	}
	if length[4096] < len(src) || length[MaxWindow] > len(src)/2 {
		t.Errorf("lengths by window: %v", length)
	}
}
