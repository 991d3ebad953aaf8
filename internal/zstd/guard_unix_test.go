//go:build unix

package zstd

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

// guards are the mappings to unmap.
type guards [][]byte

// alloc returns n bytes between two inaccessible pages. The bytes end at the second page, or begin
// after the first one.
func (g *guards) alloc(t *testing.T, n int, atEnd bool) []byte {
	page := os.Getpagesize()
	size := (n + page - 1) / page * page
	b, err := unix.Mmap(-1, 0, size+2*page, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		t.Fatal(err)
	}
	*g = append(*g, b)
	for _, end := range [][]byte{b[:page], b[page+size:]} {
		if err := unix.Mprotect(end, unix.PROT_NONE); err != nil {
			t.Fatal(err)
		}
	}
	if atEnd {
		return b[page+size-n : page+size : page+size]
	}
	return b[page : page+n : page+n]
}

func (g *guards) free() {
	for _, b := range *g {
		unix.Munmap(b)
	}
	*g = nil
}

// TestGuarded decodes valid and invalid data with inaccessible pages around all buffers of input,
// literals and output. It checks that wide loads and stores stay within them.
func TestGuarded(t *testing.T) {
	rnd := rand.New(rand.NewPCG(5, 6))
	defer func(was int) { alloc, leastLiterals = nil, was }(leastLiterals)
	leastLiterals = 0
	for _, name := range []string{"lines", "skewed", "periods", "short", "random"} {
		for _, level := range []string{"-1", "-3", "-19"} {
			z := compress(t, texts()[name][:min(len(texts()[name]), 150_000)], level, "--no-check")
			for n := range 40 {
				bad := bytes.Clone(z)
				if n > 0 {
					at := rnd.IntN(len(bad))
					if n%2 == 0 {
						at = rnd.IntN(min(len(bad), 100))
					}
					bad[at] ^= 1 << rnd.UintN(8)
				}
				if n%5 == 4 {
					bad = bad[:rnd.IntN(len(bad))]
				}
				paths(func(path string) {
					var g guards
					defer g.free()
					alloc = func(k int) []byte { return g.alloc(t, k, n%4 < 3) }
					got, err := decode(bad, false)
					alloc = nil
					want, plain := decode(bad, false)
					if (err == nil) != (plain == nil) || !bytes.Equal(got, want) {
						t.Fatalf("%s, %s, %s: %d bytes, %v; without guards %d, %v", name, level, path, len(got), err, len(want), plain)
					}
				})
			}
		}
	}
}

// TestGuardedWindow decodes frames of many sizes, for which the buffer is allocated, so that the window
// ends at each position.
func TestGuardedWindow(t *testing.T) {
	defer func(was int) { alloc, leastLiterals = nil, was }(leastLiterals)
	leastLiterals = 0
	text := texts()["periods"]
	for size := 1; size < 400; size += 3 {
		part := text[len(text)-size:]
		z := compress(t, part, "-19", "--no-check", fmt.Sprint("--stream-size=", size))
		paths(func(path string) {
			var g guards
			defer g.free()
			alloc = func(k int) []byte { return g.alloc(t, k, true) }
			if got, err := decode(z, false); err != nil || !bytes.Equal(got, part) {
				t.Errorf("%d bytes, %s: %d, %v", size, path, len(got), err)
			}
		})
	}
}
