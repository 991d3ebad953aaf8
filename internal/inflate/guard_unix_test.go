//go:build unix

package inflate

import (
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

// guarded returns n bytes at the end of mapped memory. An access behind them faults.
func guarded(t *testing.T, n int) []byte {
	page := os.Getpagesize()
	size := (n+page-1)/page*page + page
	b, err := unix.Mmap(-1, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		t.Skip(err)
	}
	t.Cleanup(func() { unix.Munmap(b) })
	if err := unix.Mprotect(b[size-page:], unix.PROT_NONE); err != nil {
		t.Fatal(err)
	}
	return b[size-page-n : size-page]
}

// TestGuarded decodes with no memory behind source and destination, to check that wide loads and stores
// stay within them.
func TestGuarded(t *testing.T) {
	const most = 1 << 16
	src, src2, dst, dst2 := guarded(t, most), guarded(t, most), guarded(t, most), guarded(t, most)
	end := func(room, b []byte) []byte {
		to := room[len(room)-len(b):]
		copy(to, b)
		return to
	}
	paths(func(path string) {
		for name, text := range texts() {
			for _, size := range []int{0, 1, 300, 3000, 20_000} {
				text := text[:min(len(text), size)]
				z := deflate(t, text, 6)
				for cut := range min(len(z), 40) {
					z := z[:len(z)-cut]
					one, two := dst[most-len(text):], dst2[most-len(text)/2:]
					jobs := []Job{{Dst: one, Src: end(src, z)}, {Dst: two, Src: end(src2, z)}}
					DecodeAll(jobs)
					if n, err := Decode(one, end(src, z)); n != jobs[0].N || err != jobs[0].Err {
						t.Fatalf("%s, %s: Decode returned %d, %v; DecodeAll %d, %v", path, name, n, err, jobs[0].N, jobs[0].Err)
					}
				}
			}
		}
	})
}
