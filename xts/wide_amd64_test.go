//go:build !purego

package xts

import (
	"bytes"
	"testing"
	"unsafe"
)

// TestWideLayout checks the offsets that xts/_asm uses.
func TestWideLayout(t *testing.T) {
	var s wideSchedule
	for _, test := range []struct {
		name      string
		got, want uintptr
	}{
		{"whiten", unsafe.Offsetof(s.whiten), 0},
		{"last", unsafe.Offsetof(s.last), 64},
		{"step", unsafe.Offsetof(s.step), 128},
		{"left", unsafe.Offsetof(s.left), 192},
		{"right", unsafe.Offsetof(s.right), 256},
		{"middle", unsafe.Offsetof(s.middle), 320},
	} {
		if test.got != test.want {
			t.Errorf("%s is at %d, the assembly has it at %d", test.name, test.got, test.want)
		}
	}
}

// TestWide checks the alignment of the schedules, which the assembly requires, and that they are wiped.
func TestWide(t *testing.T) {
	made, err := newSIMD(skewed)(randomBytes(t, 64))
	if err != nil {
		t.Fatal(err)
	}
	k := made.(*simd)
	w := k.wide
	for _, s := range []*wideSchedule{w.enc(), w.dec()} {
		if p := uintptr(unsafe.Pointer(s)); p%wideAlign != 0 {
			t.Errorf("a schedule at the unaligned address %#x", p)
		}
	}
	if got, want := w.dec().middle[12][3], k.enc.middle[0]; got == want {
		t.Error("the decryption schedule has the round keys of the encryption schedule")
	}
	k.wipe()
	for i := range w.rooms {
		if !bytes.Equal(w.rooms[i].bytes[:], make([]byte, len(w.rooms[i].bytes))) {
			t.Error("round keys are left after wiping")
		}
	}
}

// TestMultiplies runs AES-128 with the loop that New would not choose on this CPU.
func TestMultiplies(t *testing.T) {
	defer func(before bool) { multiplies = before }(multiplies)
	for _, multiplies = range []bool{false, true} {
		forEachImplementation(t, func(t *testing.T, impl implementation) {
			key := randomBytes(t, 32)
			for _, opts := range allOptions() {
				c := mustNew(t, impl, key, opts)
				src := randomBytes(t, 35*4096)
				for _, d := range directions {
					compare(t, impl.name+" "+d.name, src, refSectors(t, d, key, opts, src, 1<<32-3),
						func(dst, src []byte) { d.sectors(c, dst, src, 1<<32-3) })
				}
			}
		})
	}
}
