// Package imagetest holds what all implementations of image.Source must do, as tests that
// each of them runs. It is the counterpart of testing/fstest.
package imagetest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"sync"
	"testing"

	"github.com/luksimg/luksimg/image"
)

// Source tests that src is a disk of the bytes in want: sizes, reads at every alignment and
// across the end, extents against reads, ranges that are clipped, and concurrent use. A disk
// of a few megabytes takes a fraction of a second.
func Source(t *testing.T, src image.Source, want []byte) {
	t.Helper()
	if src.Size() != int64(len(want)) {
		t.Fatalf("Size is %d, want %d", src.Size(), len(want))
	}
	t.Run("Read", func(t *testing.T) { testReads(t, src, want) })
	t.Run("End", func(t *testing.T) { testEnd(t, src, want) })
	t.Run("Extents", func(t *testing.T) { testExtents(t, src, want) })
	t.Run("Concurrent", func(t *testing.T) { testConcurrent(t, src, want) })
}

// checkRead reads n bytes at off, and compares what comes with want.
func checkRead(src image.Source, want []byte, off, n int64) error {
	p := bytes.Repeat([]byte{0xa5}, int(n))
	got, err := src.ReadAt(p, off)
	size := int64(len(want))
	rest := want[min(off, size):min(off+n, size)]
	switch {
	case got != len(rest):
		return fmt.Errorf("read of %d bytes at %d: %d bytes, %v; want %d", n, off, got, err, len(rest))
	case !bytes.Equal(p[:got], rest):
		i := 0
		for p[i] == rest[i] {
			i++
		}
		return fmt.Errorf("read of %d bytes at %d: byte %d is %#x, want %#x", n, off, off+int64(i), p[i], rest[i])
	case int64(got) < n && err != io.EOF:
		return fmt.Errorf("read of %d bytes at %d, %d past the end: %v, want io.EOF", n, off, n-int64(got), err)
	case int64(got) == n && err != nil && (err != io.EOF || off+n < size):
		return fmt.Errorf("read of %d bytes at %d: %v", n, off, err)
	}
	return nil
}

// testReads reads all of the disk in pieces of several lengths, and around places where
// formats change from one unit to the next.
func testReads(t *testing.T, src image.Source, want []byte) {
	size := int64(len(want))
	for _, n := range []int64{size, 1 << 20, 65537, 4095} {
		for off := int64(0); off < size && n > 0; off += n {
			if err := checkRead(src, want, off, n); err != nil {
				t.Fatal(err)
			}
			if n < 65537 && off > 256<<10 {
				break
			}
		}
	}
	for unit := int64(512); unit <= 4<<20; unit *= 2 {
		for off := unit; off <= size && off <= 8*unit; off += unit {
			for _, d := range []int64{-513, -1, 0, 1, 511} {
				for _, n := range []int64{1, 2, 512, 1025} {
					if off+d < 0 {
						continue
					}
					if err := checkRead(src, want, off+d, n); err != nil {
						t.Fatal(err)
					}
				}
			}
		}
	}
}

// testEnd reads at and past the end, and at offsets that cannot be.
func testEnd(t *testing.T, src image.Source, want []byte) {
	size := int64(len(want))
	for _, n := range []int64{1, 511, 512, 4096} {
		for _, off := range []int64{size - n, size - 1, size - 2*n, size, size + 1, size + 1<<40, math.MaxInt64 - n} {
			if off < 0 {
				continue
			}
			if err := checkRead(src, want, off, n); err != nil {
				t.Error(err)
			}
		}
	}
	if n, err := src.ReadAt(nil, 0); n != 0 || err != nil && err != io.EOF {
		t.Errorf("read of nothing: %d, %v", n, err)
	}
	for _, off := range []int64{-1, -512, math.MinInt64} {
		if n, err := src.ReadAt(make([]byte, 512), off); n != 0 || err == nil || errors.Is(err, io.EOF) {
			t.Errorf("read at %d: %d bytes, %v; want an error that is not the end", off, n, err)
		}
	}
}

// testExtents compares the extents of several ranges with what is there.
func testExtents(t *testing.T, src image.Source, want []byte) {
	size := int64(len(want))
	ranges := [][2]int64{
		{0, size}, {0, math.MaxInt64}, {-512, 1024}, {size - 1, 2}, {size, 512}, {size + 5, 1}, {0, 0}, {1, 511}, {math.MinInt64, math.MaxInt64},
	}
	for unit := int64(512); unit < size; unit *= 4 {
		ranges = append(ranges, [2]int64{unit - 1, 2*unit + 1}, [2]int64{unit, unit}, [2]int64{size / 2, unit})
	}
	for _, r := range ranges {
		if err := checkExtents(src, want, r[0], r[1]); err != nil {
			t.Errorf("extents of %d bytes at %d: %v", r[1], r[0], err)
		}
	}
	// A sequence may be left early, and used twice.
	for range 2 {
		for range image.Extents(src, 0, size) {
			break
		}
	}
}

func checkExtents(src image.Source, want []byte, off, n int64) error {
	size := int64(len(want))
	at := min(max(off, 0), size)
	end := max(at, min(max(off+n, off), size)) // off+n may overflow
	if off > 0 && n > size {
		end = size
	}
	last := image.Extent{Kind: 255}
	for e, err := range image.Extents(src, off, n) {
		switch {
		case err != nil:
			return err
		case e.Offset != at || e.Length <= 0 || e.End() > end:
			return fmt.Errorf("%+v, want one at %d that ends by %d", e, at, end)
		case e.Kind == last.Kind:
			return fmt.Errorf("%+v and %+v are one", last, e)
		case e.Kind != image.Data && !zero(want[e.Offset:e.End()]):
			return fmt.Errorf("%+v is not all zeros", e)
		}
		at, last = e.End(), e
	}
	if at != end {
		return fmt.Errorf("they end at %d, want %d", at, end)
	}
	return nil
}

func zero(p []byte) bool { return len(bytes.TrimLeft(p, "\x00")) == 0 }

// testConcurrent reads from several goroutines at once.
func testConcurrent(t *testing.T, src image.Source, want []byte) {
	size := int64(len(want))
	if size == 0 {
		return
	}
	var wg sync.WaitGroup
	for g := range int64(4) {
		wg.Go(func() {
			for i := range int64(40) {
				off := (g*7919 + i*104729*13) % size
				if err := checkRead(src, want, off, 1+i*997%8192); err != nil {
					t.Error(err)
					return
				}
			}
			if err := checkExtents(src, want, 0, size); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
}
