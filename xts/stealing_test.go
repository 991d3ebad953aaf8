package xts

import (
	"bytes"
	"fmt"
	"testing"
)

func TestStealingVectors(t *testing.T) {
	vectors := readVectors(t, "ieee1619-stealing.rsp")
	if len(vectors) != 5 {
		t.Errorf("%d vectors, want 5", len(vectors))
	}
	forEachImplementation(t, func(t *testing.T, impl implementation) {
		for _, v := range vectors {
			c := mustNew(t, impl, v.key, Options{})
			compare(t, v.name+" enc", v.pt, v.ct, func(dst, src []byte) { c.EncryptStealing(dst, src, &v.tweak) })
			compare(t, v.name+" dec", v.ct, v.pt, func(dst, src []byte) { c.DecryptStealing(dst, src, &v.tweak) })
		}
	})
}

// TestStealing compares all lengths up to a few strides with the textbook method, which needs only
// single data units. The masks of the last two blocks are those of a unit with one more block.
func TestStealing(t *testing.T) {
	forEachImplementation(t, func(t *testing.T, impl implementation) {
		for _, keySize := range []int{32, 64} {
			key := randomBytes(t, keySize)
			c := mustNew(t, impl, key, Options{})
			for n := blockSize; n < 1200; n++ {
				plain := randomBytes(t, n)
				tweak := [16]byte(randomBytes(t, 16))
				want := refStealing(t, key, plain, &tweak)
				what := fmt.Sprintf("%d bytes, key of %d", n, keySize)
				compare(t, what+" enc", plain, want, func(dst, src []byte) { c.EncryptStealing(dst, src, &tweak) })
				compare(t, what+" dec", want, plain, func(dst, src []byte) { c.DecryptStealing(dst, src, &tweak) })
			}
		}
	})
}

// refStealing is IEEE 1619's encryption of a data unit, with x/crypto for whole blocks.
func refStealing(t *testing.T, key, plain []byte, tweak *[16]byte) []byte {
	t.Helper()
	enc := directions[0]
	whole := len(plain) / blockSize * blockSize
	rest := len(plain) - whole
	out := refUnit(t, enc, key, plain[:whole], tweak)
	if rest == 0 {
		return out
	}
	stolen := bytes.Clone(out[whole-blockSize:])
	// The bytes before the block that is encrypted last do not matter.
	padded := make([]byte, whole+blockSize)
	copy(padded[whole:], plain[whole:])
	copy(padded[whole+rest:], stolen[rest:])
	last := refUnit(t, enc, key, padded, tweak)[whole:]
	out = append(out[:whole-blockSize], last...)
	return append(out, stolen[:rest]...)
}

func TestStealingPanics(t *testing.T) {
	forEachImplementation(t, func(t *testing.T, impl implementation) {
		c := mustNew(t, impl, randomBytes(t, 32), Options{})
		buf := make([]byte, 64)
		big := make([]byte, maxUnitSize+1)
		for name, f := range map[string]func(dst, src []byte, tweak *[16]byte){
			"enc": c.EncryptStealing, "dec": c.DecryptStealing,
		} {
			wantPanic(t, name+" of nothing", func() { f(buf, nil, new([16]byte)) })
			wantPanic(t, name+" of less than a block", func() { f(buf, buf[:15], new([16]byte)) })
			wantPanic(t, name+" of too much", func() { f(big, big, new([16]byte)) })
			wantPanic(t, name+" to short output", func() { f(buf[:16], buf[16:33], new([16]byte)) })
			wantPanic(t, name+" with overlap", func() { f(buf[1:], buf[:17], new([16]byte)) })
		}
		if !bytes.Equal(buf, make([]byte, len(buf))) {
			t.Error("a refused call wrote output")
		}
		c.Close()
		wantPanic(t, "enc after Close", func() { c.EncryptStealing(buf, buf, new([16]byte)) })
		wantPanic(t, "dec after Close", func() { c.DecryptStealing(buf, buf, new([16]byte)) })
	})
}

func TestStealingAllocs(t *testing.T) {
	forEachImplementation(t, func(t *testing.T, impl implementation) {
		c := mustNew(t, impl, randomBytes(t, 64), Options{})
		buf := make([]byte, 1000)
		if n := testing.AllocsPerRun(100, func() {
			var tweak [16]byte
			tweak[0] = buf[0]
			c.EncryptStealing(buf, buf, &tweak)
			c.DecryptStealing(buf, buf, &tweak)
		}); n != 0 {
			t.Errorf("%v allocations a call", n)
		}
	})
}
