package vhd

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"runtime"
	"testing"

	"github.com/luksimg/luksimg/image"
)

// FuzzOpen opens, describes and reads files of any content. The checksums of all
// structures are made right first if bit 0 of flags is set, so that the fuzzer gets
// past them; bits 1 and 2 are the options.
func FuzzOpen(f *testing.F) {
	for _, c := range []disk{
		// Small ones, as large inputs slow the fuzzer down.
		{size: 1024},
		{size: 1024, short: true},
		{size: 3*1024 + 512, blockSize: 1024, full: true},
		{size: 3 * 1024, blockSize: 1024, spare: 200, seed: 1},
		{size: 4096, blockSize: 4096, creator: "tap\x00", version: 1, seed: 3},
		{size: 4 * 512, blockSize: 512, noEnd: true, seed: 5},
		{size: 6 * 512, blockSize: 8192, chs: &[3]uint16{1, 1, 5}, seed: 6},
	} {
		file, _ := c.build()
		f.Add(file, byte(0))
		f.Add(file, byte(1|2))
		f.Add(file, byte(1|4))
		f.Add(file[:len(file)/2], byte(1))
	}
	f.Fuzz(func(t *testing.T, file []byte, flags byte) {
		if flags&1 != 0 {
			file = bytes.Clone(file)
			fixChecksums(file)
		}
		opts := Options{SizeByCHS: flags&2 != 0, IgnoreBitmaps: flags&4 != 0}
		// The table, its states and its sorted copy are each smaller than the
		// table in the file; the rest is headers, buffers and messages.
		fuzzOpen(t, bytes.NewReader(file), int64(len(file)), opts, 4*uint64(len(file))+256<<10)
	})
}

// FuzzFields opens a dynamic disk with these fields, in a file that may be far
// larger than what the fuzzer can make. Where nothing else is, the file is all ones:
// absent blocks, full bitmaps.
func FuzzFields(f *testing.F) {
	table := []byte{0, 0, 1, 0, 255, 255, 255, 255, 0, 2, 0, 0}
	f.Add(int64(1<<30), uint64(512), uint64(1536), uint32(3), uint32(4096), uint64(12288), table, []byte{0x0f, 0xf0}, byte(0))
	f.Add(int64(1<<40), uint64(1<<20), uint64(1<<21), uint32(1<<20), uint32(2<<20), uint64(2040<<30), table, []byte{0}, byte(1))
	f.Add(int64(1<<33), uint64(512), uint64(1536), uint32(1<<31), uint32(512), uint64(1<<40), table, []byte{}, byte(4))
	f.Add(int64(1<<62), uint64(1<<61), uint64(512), uint32(1<<10), uint32(256<<20), uint64(1<<37), table, []byte{0xff, 0xfe}, byte(1|2))
	f.Fuzz(func(t *testing.T, size int64, dataOffset, tableOffset uint64, entries, blockSize uint32, current uint64, table, bitmap []byte, flags byte) {
		if size < footerSize {
			return
		}
		c := disk{blockSize: int64(blockSize), chs: &[3]uint16{uint16(current >> 9), 16, 63}}
		if flags&1 != 0 {
			c.creator, c.version = "tap\x00", 1
		}
		foot := c.footer(typeDynamic, dataOffset)
		be.PutUint64(foot[offCurrentSize:], current)
		sumFooter(foot)
		// The parts of a sparse file must not overlap, or its bytes would depend
		// on their order.
		s := newSparse(size, map[int64][]byte{size - footerSize: foot})
		s.byte = 0xff
		end := uint64(size - footerSize)
		free := func(at, n uint64) bool {
			for off, b := range s.parts {
				if at < uint64(off)+uint64(len(b)) && uint64(off) < at+n {
					return false
				}
			}
			return at <= end && n <= end-at
		}
		if free(dataOffset, headerSize) {
			s.put(int64(dataOffset), c.header(tableOffset, int(entries)))
		}
		if free(tableOffset, uint64(len(table))) {
			s.put(int64(tableOffset), table)
		}
		for b := table; len(b) >= 4 && len(s.parts) < 20; b = b[4:] {
			if at := uint64(be.Uint32(b)) * sectorSize; free(at, uint64(len(bitmap))) {
				s.put(int64(at), bitmap)
			}
		}
		fuzzOpen(t, s, size, Options{SizeByCHS: flags&2 != 0, IgnoreBitmaps: flags&4 != 0}, 9*maxBlocks)
	})
}

// fuzzOpen opens a file, within bound bytes of memory, and tries what it gives.
func fuzzOpen(t *testing.T, r io.ReaderAt, size int64, opts Options, bound uint64) {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	d, err := Open(r, size, opts)
	runtime.ReadMemStats(&after)
	if n := after.TotalAlloc - before.TotalAlloc; n > bound {
		t.Fatalf("Open of %d bytes allocated %d", size, n)
	}
	detected := Detect(r, size)
	if err != nil {
		if !errors.Is(err, image.ErrFormat) && !errors.Is(err, image.ErrUnsupported) {
			t.Fatalf("error is neither about the format nor about a feature: %v", err)
		}
		return
	}
	if !detected {
		t.Fatal("opened but not detected")
	}
	if _, err := json.Marshal(d.Info()); err != nil {
		t.Fatal(err)
	}
	const window = 1 << 20
	for _, off := range []int64{0, d.Size()/2 + 7, d.Size() - window} {
		off = min(max(off, 0), d.Size())
		fuzzRead(t, d, off, min(window, d.Size()-off))
	}
}

// fuzzRead checks that a range is covered by extents, that they agree with what is
// read, and that it does not matter in which pieces it is read.
func fuzzRead(t *testing.T, d *Disk, off, n int64) {
	whole := make([]byte, n)
	if got, err := d.ReadAt(whole, off); int64(got) != n || err != nil {
		t.Fatalf("ReadAt(%d bytes, %d) = %d, %v", n, off, got, err)
	}
	at := off
	for e, err := range image.Extents(d, off, n) {
		if err != nil || e.Offset != at || e.Length <= 0 {
			t.Fatalf("extent %+v at %d: %v", e, at, err)
		}
		at = e.End()
		b := whole[e.Offset-off : at-off]
		if e.Kind != image.Data && bytes.Count(b, []byte{0}) != len(b) {
			t.Fatalf("extent %+v does not read as zeros", e)
		}
		piece := make([]byte, min(len(b), 5000))
		if _, err := d.ReadAt(piece, e.Offset); err != nil || !bytes.Equal(piece, b[:len(piece)]) {
			t.Fatalf("extent %+v reads otherwise than the whole: %v", e, err)
		}
	}
	if at != off+n {
		t.Fatalf("the extents of %d bytes at %d end at %d", n, off, at)
	}
}

// fixChecksums makes the checksums right wherever a footer or the header that it
// points to seems to be.
func fixChecksums(file []byte) {
	for _, off := range []int{0, len(file) - footerSize} {
		if off < 0 || off+footerSize > len(file) {
			continue
		}
		foot := file[off:][:footerSize]
		if at := be.Uint64(foot[offDataOffset:]); at >= footerSize && at+headerSize > at && at+headerSize <= uint64(len(file)) {
			sumHeader(file[at:][:headerSize])
		}
		copy(foot, footerCookie)
		sumFooter(foot)
	}
}
