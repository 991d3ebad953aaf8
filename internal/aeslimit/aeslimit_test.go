package aeslimit

import (
	"bytes"
	"strings"
	"testing"
	"unsafe"

	"github.com/luksimg/luksimg/xts"
)

// TestRun checks the number of rounds.
func TestRun(t *testing.T) {
	for _, test := range []struct{ size, keyBits, want int }{
		{768, 128, 5}, {768, 256, 7}, {7680, 256, 70}, {64 << 10, 128, 427},
	} {
		got := 0
		Loop{run: func(n int) { got = n }, bytes: 768}.Run(test.size, test.keyBits)
		if got != test.want {
			t.Errorf("%d bytes, %d bits: %d turns, want %d", test.size, test.keyBits, got, test.want)
		}
	}
}

// TestLoops runs all loops that this CPU supports. One of them must have registers as wide as those of
// the kernel in use.
func TestLoops(t *testing.T) {
	widest := 0
	for _, l := range Loops() {
		l.Run(64<<10, 256)
		widest = max(widest, l.bytes/12)
	}
	inUse := xts.Implementations()[0]
	for prefix, width := range map[string]int{"vaes-avx512": 64, "vaes-avx2": 32, "aesni-avx": 16} {
		if strings.HasPrefix(inUse, prefix) && widest != width {
			t.Errorf("registers of up to %d bytes, %s uses %d", widest, inUse, width)
		}
	}
}

// TestCopy copies with AES rounds at the same time.
func TestCopy(t *testing.T) {
	room := make([]byte, 10*copied+alignment)
	dst := room[-uintptr(unsafe.Pointer(&room[0]))%alignment:][:10*copied]
	src := make([]byte, 10*copied-1)
	for i := range src {
		src[i] = byte(i*i>>7 + 1)
	}
	if !Copy(dst, src) {
		t.Skip("this CPU lacks the instructions")
	}
	if !bytes.Equal(dst[:9*copied], src[:9*copied]) || len(bytes.Trim(dst[9*copied:], "\x00")) > 0 {
		t.Error("the copied bytes differ")
	}
	if Copy(dst[1:], make([]byte, 2*copied)); dst[1] != src[1] {
		t.Error("Copy copied to an unaligned address")
	}
}
