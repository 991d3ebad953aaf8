package xts

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
)

// interestingSectors are sector numbers at which tweaks wrap or carry, for every sector size.
var interestingSectors = []uint64{
	0, 1, 0xff, 1 << 20,
	1<<29 - 3, 1<<30 - 3, 1<<31 - 3, 1<<32 - 3, 1 << 32, 1<<40 + 5,
	1<<61 - 3, 1<<62 - 3, 1<<63 - 3, 1<<64 - 3, 1<<64 - 1,
}

// TestSectors compares with x/crypto, in place and not, at changing alignments. It also checks that
// nothing outside dst is written.
func TestSectors(t *testing.T) {
	forEachImplementation(t, func(t *testing.T, impl implementation) {
		for _, opts := range allOptions() {
			for _, keySize := range []int{32, 64} {
				name := fmt.Sprintf("sector=%d/large=%t/plain32=%t/key=%d",
					opts.SectorSize, opts.LargeIV, opts.Plain32, keySize*8)
				t.Run(name, func(t *testing.T) {
					key := randomBytes(t, keySize)
					c := mustNew(t, impl, key, opts)
					for i, sector := range interestingSectors {
						for _, d := range directions {
							src := randomBytes(t, (i%7+1)*c.SectorSize())
							want := refSectors(t, d, key, opts, src, sector)
							compare(t, fmt.Sprintf("%s of %d sectors from %#x", d.name, i%7+1, sector), src, want,
								func(dst, src []byte) { d.sectors(c, dst, src, sector) })
						}
					}
				})
			}
		}
	})
}

// TestLongRun covers the pieces into which an implementation can cut a long run.
func TestLongRun(t *testing.T) {
	forEachImplementation(t, func(t *testing.T, impl implementation) {
		for _, opts := range allOptions() {
			key := randomBytes(t, 64)
			c := mustNew(t, impl, key, opts)
			src := randomBytes(t, 33*8192)
			for _, d := range directions {
				want := refSectors(t, d, key, opts, src, 1<<32-17)
				compare(t, fmt.Sprintf("%s %+v", d.name, opts), src, want,
					func(dst, src []byte) { d.sectors(c, dst, src, 1<<32-17) })
			}
		}
	})
}

func TestUnits(t *testing.T) {
	forEachImplementation(t, func(t *testing.T, impl implementation) {
		for _, keySize := range []int{32, 64} {
			key := randomBytes(t, keySize)
			c := mustNew(t, impl, key, Options{})
			for blocks := range 150 {
				src := randomBytes(t, blocks*blockSize)
				tweak := [16]byte(randomBytes(t, 16))
				given := tweak
				for _, d := range directions {
					compare(t, fmt.Sprintf("%s of %d blocks, key of %d bytes", d.name, blocks, keySize),
						src, refUnit(t, d, key, src, &tweak),
						func(dst, src []byte) { d.unit(c, dst, src, &tweak) })
				}
				if tweak != given {
					t.Fatal("the caller's tweak has changed")
				}
			}
		}
	})
}

// TestGroupCounts tests every number of groups, in one data unit and in many, because the assembly
// loops over groups and units.
func TestGroupCounts(t *testing.T) {
	forEachImplementation(t, func(t *testing.T, impl implementation) {
		for _, keySize := range []int{32, 64} {
			key := randomBytes(t, keySize)
			for n := 1; n <= 40; n++ {
				for _, sectorSize := range []int{512, 1024, 4096} {
					opts := Options{SectorSize: sectorSize}
					c := mustNew(t, impl, key, opts)
					src := randomBytes(t, n*sectorSize)
					for _, d := range directions {
						compare(t, fmt.Sprintf("%s of %d sectors of %d bytes", d.name, n, sectorSize), src,
							refSectors(t, d, key, opts, src, 77), func(dst, src []byte) { d.sectors(c, dst, src, 77) })
					}
				}
				c := mustNew(t, impl, key, Options{})
				src := randomBytes(t, n*512+16*(n%3))
				tweak := [16]byte(randomBytes(t, 16))
				for _, d := range directions {
					compare(t, fmt.Sprintf("%s of a unit of %d bytes", d.name, len(src)), src,
						refUnit(t, d, key, src, &tweak), func(dst, src []byte) { d.unit(c, dst, src, &tweak) })
				}
			}
		}
	})
}

// TestLongUnits tests data units that are longer than one piece of an implementation.
func TestLongUnits(t *testing.T) {
	forEachImplementation(t, func(t *testing.T, impl implementation) {
		key := randomBytes(t, 64)
		c := mustNew(t, impl, key, Options{})
		for _, size := range []int{64<<10 - 16, 64 << 10, 64<<10 + 16, 128<<10 + 512, 200<<10 + 272, 1 << 20} {
			src := randomBytes(t, size)
			tweak := [16]byte(randomBytes(t, 16))
			for _, d := range directions {
				compare(t, fmt.Sprintf("%s of %d bytes", d.name, size), src, refUnit(t, d, key, src, &tweak),
					func(dst, src []byte) { d.unit(c, dst, src, &tweak) })
			}
		}
	})
}

// TestEqualKeyHalves tests a key that FIPS 140 forbids and New accepts for reading.
func TestEqualKeyHalves(t *testing.T) {
	half := randomBytes(t, 32)
	key := append(half, half...)
	forEachImplementation(t, func(t *testing.T, impl implementation) {
		c := mustNew(t, impl, key, Options{})
		src := randomBytes(t, 1024)
		for _, d := range directions {
			compare(t, d.name, src, refSectors(t, d, key, Options{}, src, 7),
				func(dst, src []byte) { d.sectors(c, dst, src, 7) })
		}
	})
}

// compare runs crypt on copies of src between guard bytes at random alignments, in place and not, and
// compares the result with want.
func compare(t *testing.T, what string, src, want []byte, crypt func(dst, src []byte)) {
	t.Helper()
	const room = 64
	place := func(b []byte) (whole, part []byte) {
		whole = bytes.Repeat([]byte{0xa5}, len(b)+2*room)
		off := rand.IntN(room)
		part = whole[off : off+len(b)]
		copy(part, b)
		return whole, part
	}
	guarded := func(whole, part []byte) bool {
		clear(part)
		return bytes.Count(whole, []byte{0xa5}) == 2*room
	}

	in, inPart := place(src)
	out, outPart := place(make([]byte, len(src)))
	crypt(outPart[:len(outPart):len(outPart)], inPart)
	if !bytes.Equal(outPart, want) {
		t.Errorf("%s: wrong output", what)
	}
	if !bytes.Equal(inPart, src) {
		t.Errorf("%s: input has changed", what)
	}
	if !guarded(out, outPart) || !guarded(in, inPart) {
		t.Errorf("%s: bytes outside the buffers have changed", what)
	}

	both, part := place(src)
	crypt(part, part)
	if !bytes.Equal(part, want) {
		t.Errorf("%s: wrong output in place", what)
	}
	if !guarded(both, part) {
		t.Errorf("%s: bytes outside the buffer have changed in place", what)
	}

	longer := bytes.Repeat([]byte{0xa5}, len(src)+room)
	crypt(longer, src)
	if !bytes.Equal(longer[:len(src)], want) || bytes.Count(longer[len(src):], []byte{0xa5}) != room {
		t.Errorf("%s: wrong output, or a changed tail, in a longer buffer", what)
	}
}

func TestConcurrent(t *testing.T) {
	forEachImplementation(t, func(t *testing.T, impl implementation) {
		key := randomBytes(t, 64)
		opts := Options{SectorSize: 4096}
		c := mustNew(t, impl, key, opts)
		src := randomBytes(t, 8*4096)
		var wg sync.WaitGroup
		for i := range 8 {
			sector := uint64(i) << 30
			d := directions[i%2]
			want := refSectors(t, d, key, opts, src, sector)
			wg.Go(func() {
				dst := make([]byte, len(src))
				for range 20 {
					d.sectors(c, dst, src, sector)
					if !bytes.Equal(dst, want) {
						t.Errorf("%s at sector %#x: wrong output", d.name, sector)
					}
				}
			})
		}
		wg.Wait()
	})
}
