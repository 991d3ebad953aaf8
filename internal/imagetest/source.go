// Package imagetest tests what all implementations of image.Source must do. It is the counterpart of
// testing/fstest. It also has shared helpers for tests of image formats: failing files, limits of
// memory, and disks to write and to compare with.
package imagetest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"iter"
	"math"
	"sync"
	"testing"

	"github.com/luksimg/luksimg/image"
)

// Source tests that src is a disk with the bytes in want. It checks sizes, reads at every alignment and
// across the end, extents against reads, clipped ranges, invalid offsets, and concurrent use. For a
// disk of a few megabytes it takes a fraction of a second.
func Source(t *testing.T, src image.Source, want []byte) {
	t.Helper()
	suite{src: src, want: bytes.NewReader(want)}.run(t)
}

// Exact is like [Source] for a disk whose extents separate data from zeros to the byte. Its data must
// not contain zeros; see [Fill].
func Exact(t *testing.T, src image.Source, want []byte) {
	t.Helper()
	suite{src: src, want: bytes.NewReader(want), exact: true}.run(t)
}

// Like is like [Source] for a disk that can be too large for memory. If want has extents, it reads only
// the data of the two disks completely.
func Like(t *testing.T, src, want image.Source) {
	t.Helper()
	suite{src: src, want: want}.run(t)
}

// small is the size in bytes up to which a disk is read completely.
const small = 64 << 20

// A suite compares a disk with the wanted one.
type suite struct {
	src, want image.Source
	exact     bool
}

func (s suite) run(t *testing.T) {
	t.Helper()
	if s.src.Size() != s.want.Size() {
		t.Fatalf("Size is %d, want %d", s.src.Size(), s.want.Size())
	}
	t.Run("Read", s.testReads)
	t.Run("End", s.testEnd)
	t.Run("Extents", s.testExtents)
	t.Run("Concurrent", s.testConcurrent)
}

// wanted returns up to n bytes of the wanted disk at off.
func (s suite) wanted(off, n int64) []byte {
	size := s.want.Size()
	if off >= size {
		return nil
	}
	b := make([]byte, min(n, size-off))
	if got, err := s.want.ReadAt(b, off); got < len(b) {
		panic(fmt.Sprintf("wanted disk: read %d bytes at %d: %v", len(b), off, err))
	}
	return b
}

// checkRead reads n bytes at off and compares them with the wanted disk.
func (s suite) checkRead(off, n int64) error {
	p := bytes.Repeat([]byte{0xa5}, int(n))
	got, err := s.src.ReadAt(p, off)
	rest := s.wanted(off, n)
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
	case int64(got) == n && err != nil && (err != io.EOF || off+n < s.src.Size()):
		return fmt.Errorf("read of %d bytes at %d: %v", n, off, err)
	}
	return nil
}

// testReads reads the disk in pieces of several lengths, and around the borders of the formats' units.
func (s suite) testReads(t *testing.T) {
	size := s.src.Size()
	lengths := []int64{size, 1 << 20, 65537, 4095}
	if size > small {
		lengths = nil
		s.testData(t)
	}
	for _, n := range lengths {
		for off := int64(0); off < size && n > 0; off += n {
			if err := s.checkRead(off, n); err != nil {
				t.Fatal(err)
			}
			if n < 65537 && off > 256<<10 {
				break
			}
		}
	}
	const last = 4 << 20
	for unit := int64(512); unit <= last; unit *= 2 {
		step := 2 * unit // larger units have borders at even multiples
		if unit == last {
			step = unit
		}
		for off := unit; off <= size && off <= 8*unit; off += step {
			for _, d := range []int64{-513, -1, 0, 1, 511} {
				for _, n := range []int64{1, 2, 512, 1025} {
					if off+d < 0 {
						continue
					}
					if err := s.checkRead(off+d, n); err != nil {
						t.Fatal(err)
					}
				}
			}
		}
	}
}

// testData reads everything that is data in either disk.
func (s suite) testData(t *testing.T) {
	for _, of := range []image.Source{s.src, s.want} {
		for e, err := range image.Extents(of, 0, of.Size()) {
			if err != nil {
				t.Fatal(err)
			}
			for off := e.Offset; e.Kind == image.Data && off < e.End(); off += 1 << 20 {
				from := max(off-777, 0)
				if err := s.checkRead(from, min(off+1<<20, e.End())-from); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
}

// testEnd reads at and past the end, and at invalid offsets.
func (s suite) testEnd(t *testing.T) {
	size := s.src.Size()
	for _, n := range []int64{1, 511, 512, 4096} {
		for _, off := range []int64{size - n, size - 1, size - 2*n, size, size + 1, size + 1<<40, math.MaxInt64 - n} {
			if off < 0 {
				continue
			}
			if err := s.checkRead(off, n); err != nil {
				t.Error(err)
			}
		}
	}
	for _, off := range []int64{0, size, size + 2000} {
		if n, err := s.src.ReadAt(nil, off); n != 0 || err != nil && err != io.EOF {
			t.Errorf("empty read at %d: %d, %v", off, n, err)
		}
	}
	for _, off := range []int64{-1, -512, math.MinInt64} {
		if n, err := s.src.ReadAt(make([]byte, 512), off); n != 0 || err == nil || errors.Is(err, io.EOF) {
			t.Errorf("read at %d: %d bytes, %v; want an error other than io.EOF", off, n, err)
		}
	}
}

// testExtents compares the extents of several ranges with the data.
func (s suite) testExtents(t *testing.T) {
	size := s.src.Size()
	ranges := [][2]int64{
		{0, size}, {0, math.MaxInt64}, {-512, 1024}, {size - 1, 2}, {size, 512}, {size + 5, 1}, {0, 0}, {1, 511}, {3, -1},
		{math.MinInt64, math.MaxInt64}, {math.MinInt64, math.MinInt64}, {math.MaxInt64, math.MaxInt64},
	}
	for _, r := range ranges {
		s.testClipped(t, r[0], r[1])
	}
	for unit := int64(512); unit < size; unit *= 4 {
		ranges = append(ranges, [2]int64{unit - 1, 2*unit + 1}, [2]int64{unit, unit}, [2]int64{size / 2, unit})
	}
	for _, r := range ranges {
		if err := s.checkExtents(r[0], r[1]); err != nil {
			t.Errorf("extents of %d bytes at %d: %v", r[1], r[0], err)
		}
	}
	// A caller can stop the sequence anywhere and use it again.
	seqs := []iter.Seq2[image.Extent, error]{image.Extents(s.src, 0, size)}
	if src, ok := s.src.(image.Extenter); ok {
		seqs = append(seqs, src.Extents(0, size))
	}
	for _, seq := range seqs {
		for stop, n := 0, 1; n > stop && stop < 300; stop++ {
			n = 0
			for range seq {
				if n++; n > stop {
					break
				}
			}
		}
	}
}

// testClipped checks that the source clips the extents of any range to the disk.
func (s suite) testClipped(t *testing.T, off, n int64) {
	src, ok := s.src.(image.Extenter)
	if !ok {
		return
	}
	for e, err := range src.Extents(off, n) {
		if err != nil || e.Offset < 0 || e.Length <= 0 || e.End() > s.src.Size() {
			t.Errorf("Extents(%d, %d): %+v, %v", off, n, e, err)
			return
		}
	}
}

func (s suite) checkExtents(off, n int64) error {
	size := s.src.Size()
	at := min(max(off, 0), size)
	end := max(at, min(max(off+n, off), size)) // off+n can overflow
	if n < 0 {
		end = at
	} else if off > 0 && n > size {
		end = size
	}
	last := image.Extent{Kind: 255}
	for e, err := range image.Extents(s.src, off, n) {
		switch {
		case err != nil:
			return err
		case e.Offset != at || e.Length <= 0 || e.End() > end:
			return fmt.Errorf("%+v, want an extent at %d that ends at or before %d", e, at, end)
		case e.Kind == last.Kind:
			return fmt.Errorf("%+v and %+v should be one extent", last, e)
		case e.Kind != image.Data && !s.zero(e.Offset, e.Length):
			return fmt.Errorf("%+v is not only zeros", e)
		case e.Kind == image.Data && s.exact && bytes.IndexByte(s.wanted(e.Offset, e.Length), 0) >= 0:
			return fmt.Errorf("%+v contains zeros", e)
		}
		at, last = e.End(), e
	}
	if at != end {
		return fmt.Errorf("the extents end at %d, want %d", at, end)
	}
	return nil
}

// zero reports whether n wanted bytes at off are zeros.
func (s suite) zero(off, n int64) bool {
	for e, err := range image.Extents(s.want, off, n) {
		for at := e.Offset; err == nil && e.Kind == image.Data && at < e.End(); at += 1 << 20 {
			if !zero(s.wanted(at, min(1<<20, e.End()-at))) {
				return false
			}
		}
	}
	return true
}

func zero(p []byte) bool { return len(bytes.TrimLeft(p, "\x00")) == 0 }

// testConcurrent reads from several goroutines at once.
func (s suite) testConcurrent(t *testing.T) {
	size := s.src.Size()
	if size == 0 {
		return
	}
	var wg sync.WaitGroup
	for g := range int64(4) {
		wg.Go(func() {
			for i := range int64(40) {
				off := (g*7919 + i*104729*13) % size
				if err := s.checkRead(off, 1+i*i*997%(64<<10)); err != nil {
					t.Error(err)
					return
				}
			}
			if err := s.checkExtents(0, size); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
}
