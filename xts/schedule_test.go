//go:build (amd64 || arm64) && !purego

package xts

import (
	"testing"
	"unsafe"
)

// TestLayout checks the offsets that xts/_asm uses, which go vet does not check.
func TestLayout(t *testing.T) {
	var s schedule
	var c counters
	for _, test := range []struct {
		name      string
		got, want uintptr
	}{
		{"whiten", unsafe.Offsetof(s.whiten), 0},
		{"last", unsafe.Offsetof(s.last), 32},
		{"steps", unsafe.Offsetof(s.steps), 64},
		{"middle", unsafe.Offsetof(s.middle), 192},
		{"next", unsafe.Offsetof(c.next), 0},
		{"increment", unsafe.Offsetof(c.increment), 64},
		{"mask", unsafe.Offsetof(c.mask), 128},
	} {
		if test.got != test.want {
			t.Errorf("%s is at %d, the assembly has it at %d", test.name, test.got, test.want)
		}
	}
}

// TestTimesPower compares timesPower with repeated doubling.
func TestTimesPower(t *testing.T) {
	lo, hi := load(randomBytes(t, blockSize))
	wantLo, wantHi := lo, hi
	for n := range 1000 {
		if gotLo, gotHi := timesPower(lo, hi, n); gotLo != wantLo || gotHi != wantHi {
			t.Fatalf("x^%d: %#x:%#x, want %#x:%#x", n, gotHi, gotLo, wantHi, wantLo)
		}
		wantLo, wantHi = double(wantLo, wantHi)
	}
}
