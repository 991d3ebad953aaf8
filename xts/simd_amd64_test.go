//go:build !purego

package xts

import (
	"bytes"
	"os"
	"reflect"
	"slices"
	"testing"
	"unsafe"
)

// TestFeatures switches off each CPU feature and checks the remaining paths and their order.
func TestFeatures(t *testing.T) {
	all := features{true, true, true, true, true, true, true, true, true}
	names := func(f features) []string {
		list := []string{}
		for _, impl := range simdImplementations(f) {
			list = append(list, impl.name)
		}
		return list
	}
	tests := map[string][]string{
		"":           {"vaes-avx512-skewed", "vaes-avx512", "vaes-avx2", "aesni-avx"},
		"aes":        {"vaes-avx512-skewed", "vaes-avx512", "vaes-avx2"},
		"pclmulqdq":  {"vaes-avx512-skewed", "vaes-avx512", "vaes-avx2"},
		"avx":        {"vaes-avx512-skewed", "vaes-avx512", "vaes-avx2"},
		"avx2":       {"vaes-avx512-skewed", "vaes-avx512", "aesni-avx"},
		"vaes":       {"aesni-avx"},
		"vpclmulqdq": {"aesni-avx"},
		"avx512f":    {"vaes-avx2", "aesni-avx"},
		"avx512bw":   {"vaes-avx2", "aesni-avx"},
		"amd":        {"vaes-avx512", "vaes-avx512-skewed", "vaes-avx2", "aesni-avx"},
	}
	for off, want := range tests {
		if got := names(without(all, off)); !slices.Equal(got, want) {
			t.Errorf("without %q: %v, want %v", off, got, want)
		}
	}
	if n := reflect.TypeFor[features]().NumField() + 1; len(tests) != n {
		t.Errorf("%d cases, want %d: one for each feature", len(tests), n)
	}
	if got := names(features{}); len(got) != 0 {
		t.Errorf("without any feature: %v", got)
	}
}

// TestWithoutFeature runs the implementation that New would choose if this CPU lacked a feature.
func TestWithoutFeature(t *testing.T) {
	present := reflect.ValueOf(detect())
	for i := range present.NumField() {
		off := present.Type().Field(i).Name
		t.Run(off, func(t *testing.T) {
			if !present.Field(i).Bool() {
				t.Skip("this CPU lacks the feature")
			}
			impl := append(simdImplementations(without(detect(), off)), genericImplementation)[0]
			key := randomBytes(t, 64)
			c := mustNew(t, impl, key, Options{})
			src := randomBytes(t, 35*512)
			for _, d := range directions {
				compare(t, impl.name+" "+d.name, src, refSectors(t, d, key, Options{}, src, 1<<32-3),
					func(dst, src []byte) { d.sectors(c, dst, src, 1<<32-3) })
			}
		})
	}
}

// TestStream forces runs of any length to bypass the caches, and compares the output with that of a run
// in place.
func TestStream(t *testing.T) {
	before := streamSize
	streamSize = 0
	defer func() { streamSize = before }()
	forEachImplementation(t, func(t *testing.T, impl implementation) {
		for _, opts := range allOptions() {
			for _, keySize := range []int{32, 64} {
				c := mustNew(t, impl, randomBytes(t, keySize), opts)
				room := make([]byte, 140<<10)
				aligned := room[-uintptr(unsafe.Pointer(&room[0]))%64:]
				for _, d := range directions {
					for _, shift := range []int{0, 1, 16, 32} {
						src := randomBytes(t, 128<<10)
						dst := aligned[shift:][:len(src)]
						d.sectors(c, dst, src, 1<<32-17)
						d.sectors(c, src, src, 1<<32-17)
						if !bytes.Equal(dst, src) {
							t.Fatalf("%s %+v, key of %d bytes, %d bytes from alignment: wrong output", d.name, opts, keySize, shift)
						}
					}
				}
			}
		}
	})
	for p, stream := range map[path]path{avx2: avx2Stream, skewed: skewedStream, avx: avx, avx512: avx512} {
		if has := p.forBuffers(make([]byte, 1<<20), make([]byte, 1<<20)); has != stream {
			t.Errorf("path %d for long buffers, want %d", has, stream)
		}
		if buf := make([]byte, 1<<20); p.forBuffers(buf, buf) != p {
			t.Error("the path for an encryption in place differs")
		}
	}
}

// TestStackGrows runs each path in new goroutines at depths where the stack must grow within a call.
// Assembly frames can be larger than the stack space that Go guarantees.
func TestStackGrows(t *testing.T) {
	forEachImplementation(t, func(t *testing.T, impl implementation) {
		key := randomBytes(t, 64)
		c := mustNew(t, impl, key, Options{})
		src := randomBytes(t, 3*512)
		want := refSectors(t, directions[0], key, Options{}, src, 7)
		for depth := range 128 {
			dst, done := make([]byte, len(src)), make(chan struct{})
			go func() {
				defer close(done)
				atDepth(depth, func() { c.Encrypt(dst, src, 7) })
			}()
			if <-done; !bytes.Equal(dst, want) {
				t.Fatalf("wrong output at depth %d", depth)
			}
		}
	})
}

// atDepth calls f at a stack depth of n frames below its own.
//
//go:noinline
func atDepth(n int, f func()) {
	if n == 0 {
		f()
		return
	}
	atDepth(n-1, f)
}

// TestMaker compares the CPU's maker with that in /proc/cpuinfo.
func TestMaker(t *testing.T) {
	text, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		t.Skip("no /proc/cpuinfo")
	}
	if got, want := detect().amd, bytes.Contains(text, []byte("AuthenticAMD")); got != want {
		t.Errorf("AMD: %v, want %v", got, want)
	}
}

// without returns f without the named feature.
func without(f features, name string) features {
	if name == "" {
		return f
	}
	bits := map[string]*bool{
		"aes": &f.aes, "pclmulqdq": &f.pclmulqdq, "avx": &f.avx, "avx2": &f.avx2,
		"vaes": &f.vaes, "vpclmulqdq": &f.vpclmulqdq, "avx512f": &f.avx512f, "avx512bw": &f.avx512bw,
		"amd": &f.amd,
	}
	*bits[name] = false
	return f
}
