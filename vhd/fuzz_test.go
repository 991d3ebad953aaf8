package vhd

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"testing"

	"github.com/luksimg/luksimg/image"
	"github.com/luksimg/luksimg/internal/imagetest"
	"github.com/luksimg/luksimg/internal/pieces"
)

// FuzzOpen opens, describes and reads arbitrary files. Bit 0 of flags corrects all checksums first,
// so that the fuzzer gets past them. Bits 1 and 2 set options, and bit 3 corrects the key hash.
func FuzzOpen(f *testing.F) {
	for _, c := range []testDisk{
		// The seeds are small, as large inputs slow the fuzzer down.
		{size: 1024},
		{size: 1024, short: true},
		{size: 3*1024 + 512, blockSize: 1024, full: true},
		{size: 3 * 1024, blockSize: 1024, spare: 200, seed: 1},
		{size: 4096, blockSize: 4096, creator: "tap\x00", version: 1, seed: 3},
		{size: 4 * 512, blockSize: 512, noEnd: true, seed: 5},
		{size: 6 * 512, blockSize: 8192, chs: &[3]uint16{1, 1, 5}, seed: 6},
		{size: 4 * 1024, blockSize: 1024, batmap: true, seed: 7},
		{size: 4 * 1024, blockSize: 1024, key: random(32), seed: 8},
		{size: 4 * 1024, blockSize: 1024, base: random(3000), locators: namedChild.locators, seed: 9},
	} {
		file, _ := c.build()
		f.Add(file, byte(0))
		f.Add(file, byte(1|8))
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
		if flags&8 != 0 {
			file = bytes.Clone(file)
			fixKeyHash(file)
			opts.Key = random(32)
		}
		if !opts.SizeByCHS {
			opts.Resolve = resolveRaw(random(3000))
		}
		// The table, its states and its sorted copy are each smaller than the table in the file.
		// The rest is headers, buffers and messages.
		fuzzOpen(t, bytes.NewReader(file), int64(len(file)), opts, 4*uint64(len(file))+256<<10)
	})
}

// FuzzFields opens a dynamic disk with the given fields, in a file that can be much larger than the
// fuzzer's input. All other bytes are ones: absent blocks and full bitmaps.
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
		c := testDisk{blockSize: int64(blockSize), chs: &[3]uint16{uint16(current >> 9), 16, 63}}
		if flags&1 != 0 {
			c.creator, c.version = "tap\x00", 1
		}
		foot := c.footer(typeDynamic, dataOffset)
		be.PutUint64(foot[offCurrentSize:], current)
		sumFooter(foot)
		// The parts of a sparse file must not overlap, as its bytes would depend on their order.
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
			s.put(int64(dataOffset), c.header(tableOffset, int64(entries)))
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

// fuzzOpen opens a file within bound bytes of memory and tries all methods of the disk.
func fuzzOpen(t *testing.T, r io.ReaderAt, size int64, opts Options, bound uint64) {
	var d *Disk
	var err error
	imagetest.Bounded(t, bound, func() { d, err = Open(context.Background(), r, size, opts) })
	detected := Detect(r, size)
	check, checkErr := CheckFile(context.Background(), r, size)
	if checkErr != nil && !errors.Is(checkErr, image.ErrUnsupported) {
		t.Fatalf("Check: %v", checkErr)
	}
	if err != nil {
		if errors.Is(err, image.ErrFormat) && !opts.SizeByCHS && checkErr == nil && check.Corruptions == 0 {
			t.Fatalf("Check found nothing, but Open failed: %v", err)
		}
		if !errors.Is(err, image.ErrFormat) && !errors.Is(err, image.ErrUnsupported) && !errors.Is(err, ErrKey) {
			t.Fatalf("error is neither ErrFormat nor ErrUnsupported: %v", err)
		}
		return
	}
	if !detected {
		t.Fatal("Open accepts a file that Detect does not")
	}
	if _, err := json.Marshal(d.describe()); err != nil {
		t.Fatal(err)
	}
	if d.keyHash != nil && opts.Key == nil {
		if _, err := d.ReadAt(make([]byte, 1), 0); !errors.Is(err, image.ErrLocked) {
			t.Fatalf("locked: %v", err)
		}
		return
	}
	imagetest.Hostile(t, d, 1<<20, never)
}

// never rejects all errors: a disk that opens must be readable.
func never(error) bool { return false }

// fixKeyHash sets the key hash in a batmap to that of random(32).
func fixKeyHash(file []byte) {
	if len(file) < footerSize+headerSize {
		return
	}
	h := header{table: int64(be.Uint64(file[footerSize+offTableOffset:]) & 0xffffff), entries: int64(be.Uint32(file[footerSize+offMaxEntries:]))}
	at := h.batmapOffset()
	if at > int64(len(file)-sectorSize) || string(file[at:][:8]) != batmapCookie {
		return
	}
	b := file[at:]
	sum := hashKey(b[offKeyNonce:][:32], random(32))
	copy(b[offKeyHash:], sum[:])
}

// FuzzDifferencing reads a child and its parent, whose ID is corrected. The parent is a VHD, or a
// raw disk if bit 0 of flags is set. The parent's own parent is a raw disk.
func FuzzDifferencing(f *testing.F) {
	for i, c := range []testDisk{
		{size: 4 * 1024, blockSize: 1024},
		{size: 4 * 1024, blockSize: 1024, locators: namedChild.locators},
		{size: 4 * 1024, blockSize: 1024, kinds: []int{kindMixed}, creator: "tap\x00", version: 1},
	} {
		c.seed, c.base = uint64(i), random(3000)
		child, _ := c.build()
		for _, p := range []testDisk{{size: 3 * 1024}, {size: 5 * 1024, blockSize: 512}, {size: 4 * 1024, blockSize: 1024, base: random(500)}} {
			parent, _ := p.build()
			f.Add(child, parent, byte(0))
			f.Add(child, parent, byte(1))
		}
	}
	f.Fuzz(func(t *testing.T, child, parent []byte, flags byte) {
		child, parent = bytes.Clone(child), bytes.Clone(parent)
		fixChecksums(parent)
		if len(child) < footerSize+headerSize || len(parent) < footerSize {
			return
		}
		copy(child[footerSize+offParentID:], parent[len(parent)-footerSize+offUniqueID:][:16])
		fixChecksums(child)
		opts := Options{ID: "child", Resolve: func(r image.Ref) (image.Source, error) {
			if flags&1 != 0 || r.Depth > 1 {
				return bytes.NewReader(parent), nil
			}
			o := r.Options.(Options)
			o.ID = "parent"
			return Open(context.Background(), bytes.NewReader(parent), int64(len(parent)), o)
		}}
		d, err := Open(context.Background(), bytes.NewReader(child), int64(len(child)), opts)
		if err != nil {
			if !errors.Is(err, image.ErrFormat) && !errors.Is(err, image.ErrUnsupported) {
				t.Fatal(err)
			}
			return
		}
		if _, err := d.ReadAt(make([]byte, 1), 0); errors.Is(err, image.ErrLocked) {
			return
		}
		if p, ok := d.disk.Parent.(*Disk); ok && p.keyHash != nil {
			return
		}
		imagetest.Hostile(t, d, 256<<10, never)
	})
}

// FuzzCreate writes disks with patches of data and reads them back.
func FuzzCreate(f *testing.F) {
	f.Add(uint32(5000), uint16(3), []byte{1, 0, 200}, byte(0))
	f.Add(uint32(300000), uint16(40), []byte{0, 0, 200, 7}, byte(1))
	f.Add(uint32(1<<20), uint16(9000), []byte{1}, byte(2))
	f.Fuzz(func(t *testing.T, size uint32, step uint16, data []byte, flags byte) {
		guest := make([]byte, size%(3<<20))
		for i, v := range data {
			if at := (i + 1) * int(step); at < len(guest) {
				guest[at] = v
			}
		}
		opts := CreateOptions{BlockSize: 4096 << (flags >> 2 & 7)}
		switch flags & 3 {
		case 1:
			opts = CreateOptions{Type: Fixed}
		case 2:
			opts = CreateOptions{Key: random(64)}
		}
		file, r := create(t, bytes.NewReader(guest), opts)
		d := open(t, bytes.NewReader(file), int64(len(file)), Options{Key: opts.Key})
		got := make([]byte, r.VirtualSize)
		if _, err := d.ReadAt(got, 0); err != nil || !bytes.Equal(got[:len(guest)], guest) || !pieces.IsZero(got[len(guest):]) {
			t.Fatalf("the data differs, or error: %v", err)
		}
	})
}

// fixChecksums corrects the checksums of everything that looks like a footer or the header that it
// refers to.
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
