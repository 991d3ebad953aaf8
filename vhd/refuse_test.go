package vhd

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/luksimg/luksimg/image"
	"github.com/luksimg/luksimg/internal/imagetest"
)

// small is the base disk of most refusals: 5 blocks of 4 KiB, the last one half used.
var small = testDisk{size: 4*4096 + 2048, blockSize: 4096, full: true, seed: 1}

const (
	smallTable = footerSize + headerSize
	smallSpan  = sectorSize + 4096
)

func TestRefuseDynamic(t *testing.T) {
	put32 := func(at int, v uint32) func(b []byte) { return func(b []byte) { be.PutUint32(b[at:], v) } }
	put64 := func(at int, v uint64) func(b []byte) { return func(b []byte) { be.PutUint64(b[at:], v) } }
	footers := func(edit func([]byte)) func([]byte) []byte {
		return func(b []byte) []byte { editFooters(b, edit); return b }
	}
	headers := func(edit func([]byte)) func([]byte) []byte {
		return func(b []byte) []byte { editHeader(b, edit); return b }
	}
	entry := func(block int, v uint32) func([]byte) []byte {
		return func(b []byte) []byte { be.PutUint32(tableEntry(b, block), v); return b }
	}
	file, _ := small.build()
	end := int64(len(file) - footerSize)
	sector := func(block int) uint32 { return be.Uint32(tableEntry(file, block)) }
	lastInFile, firstInFile := 0, 0
	for i := range 5 {
		if sector(i) > sector(lastInFile) {
			lastInFile = i
		}
		if sector(i) < sector(firstInFile) {
			firstInFile = i
		}
	}

	for _, c := range []struct {
		rule, name string
		edit       func([]byte) []byte
		field      string
		offset     int64  // offset of the field; -1: not checked
		text       string // part of the message
	}{
		{"V1", "empty", func(b []byte) []byte { return nil }, "file size", 0, "at least 512"},
		{"V1", "shorter than a footer", func(b []byte) []byte { return b[:511] }, "file size", 0, "at least 512"},
		{"V1", "no cookie", footers(func(f []byte) { f[0] = 'C' }), "cookie", end, `"Conectix"`},
		{"V2", "both checksums bad", func(b []byte) []byte { b[end+90]++; b[90]++; return b }, "checksum", end + offFooterSum, "the footer checksum is wrong"},
		{"V2", "no end and a bad checksum", func(b []byte) []byte { b[90]++; return b[:end] }, "checksum", offFooterSum, "ones' complement"},
		{"V2", "header checksum", func(b []byte) []byte { b[footerSize+100]++; return b }, "header checksum", footerSize + offHeaderSum, "ones' complement"},
		{"V6", "header cookie", headers(func(h []byte) { h[0] = 'C' }), "header cookie", footerSize, `"cxsparse"`},
		{"V3", "data offset of a fixed disk", footers(put64(offDataOffset, noOffset)), "data offset", end + offDataOffset, "header"},
		{"V3", "data offset in the footer copy", footers(put64(offDataOffset, 511)), "data offset", end + offDataOffset, "512 or more"},
		{"V3", "data offset too near to the end", footers(put64(offDataOffset, uint64(end)-headerSize+1)), "data offset", end + offDataOffset, "the start of the footer"},
		{"V4", "size above the table", footers(put64(offCurrentSize, 5*4096+512)), "max table entries", footerSize + offMaxEntries, "at least 6"},
		{"V4", "size of 2^63", footers(put64(offCurrentSize, 1<<63)), "current size", end + offCurrentSize, "less than 2^63"},
		{"V9", "size of no whole sector", footers(put64(offCurrentSize, 4096+511)), "current size", end + offCurrentSize, "multiple of 512"},
		{"V8", "block size of no power of two", headers(put32(offBlockSize, 12288)), "block size", footerSize + offBlockSize, "power of two"},
		{"V8", "block size 256", headers(put32(offBlockSize, 256)), "block size", footerSize + offBlockSize, "power of two"},
		{"V8", "block size 0", headers(put32(offBlockSize, 0)), "block size", footerSize + offBlockSize, "power of two"},
		{"V8", "block size 512 MiB", headers(put32(offBlockSize, 512<<20)), "block size", footerSize + offBlockSize, "268435456"},
		{"V8", "block size 2 GiB", headers(put32(offBlockSize, 1<<31)), "block size", footerSize + offBlockSize, "268435456"},
		{"V8", "too few entries", headers(put32(offMaxEntries, 4)), "max table entries", footerSize + offMaxEntries, "at least 5"},
		{"V8", "entries past the file", headers(put32(offMaxEntries, 1<<20)), "max table entries", footerSize + offMaxEntries, "at most"},
		{"V8", "all entries", headers(put32(offMaxEntries, 0xffffffff)), "max table entries", footerSize + offMaxEntries, "at most"},
		{"V8", "table in the footer copy", headers(put64(offTableOffset, 0)), "table offset", footerSize + offTableOffset, "from 512"},
		{"V8", "table in the header", headers(put64(offTableOffset, 1024)), "table offset", footerSize + offTableOffset, "overlap the dynamic disk header"},
		{"V8", "table past the file", headers(put64(offTableOffset, uint64(end)+1)), "table offset", footerSize + offTableOffset, "the start of the footer"},
		{"V8", "table at 2^64-1", headers(put64(offTableOffset, 1<<64-1)), "table offset", footerSize + offTableOffset, "from 512"},
		{"V9", "type 0", footers(put32(offDiskType, 0)), "disk type", end + offDiskType, "differencing"},
		{"V9", "type 5", footers(put32(offDiskType, 5)), "disk type", end + offDiskType, "differencing"},
		{"V9", "version 2", footers(put32(offVersion, 0x00020000)), "file format version", end + offVersion, "1.x"},
		{"V9", "version 0.1", footers(put32(offVersion, 1)), "file format version", end + offVersion, "is 0.1"},
		{"V9", "header version 2", headers(put32(offHeaderVer, 0x00020000)), "header version", footerSize + offHeaderVer, "1.x"},
		{"V9", "entry 0", entry(1, 0), "block allocation table entry 1", smallTable + 4, "overlap the footer copy at byte 0"},
		{"V9", "entry in the table", entry(1, smallTable/sectorSize), "block allocation table entry 1", smallTable + 4, "overlap the block allocation table at byte 1536"},
		{"V9", "entry past the file", entry(2, uint32(end/sectorSize)), "block allocation table entry 2", smallTable + 8, "the start of the footer"},
		{"V9", "entry at the largest sector", entry(2, 0xfffffffe), "block allocation table entry 2", smallTable + 8, "block 2 has bytes"},
		{"V9", "block in the footer", entry(lastInFile, sector(lastInFile)+1), "", -1, "the start of the footer"},
		{"V9", "two blocks at one place", entry(3, sector(1)), "block allocation table entry 3", smallTable + 12, "overlap block 1"},
		{"V9", "all blocks at one place", func(b []byte) []byte {
			for i := range 5 {
				be.PutUint32(tableEntry(b, i), sector(0))
			}
			return b
		}, "block allocation table entry 1", smallTable + 4, "overlap block 0"},
		{"V9", "one block more than there is room for", func(b []byte) []byte {
			for i := range 5 {
				be.PutUint32(tableEntry(b, i), uint32((smallTable+sectorSize+i%4*smallSpan)/sectorSize))
			}
			return append(b[:end-smallSpan], b[end:]...)
		}, "block allocation table entry 4", smallTable + 16, "overlap block 0"},
		{"V9", "blocks that overlap by a sector", entry(firstInFile, sector(firstInFile)+1), "", -1, "does not overlap block"},
		{"V9", "block over the header", func(b []byte) []byte {
			// Move the header to the data of block 2.
			at := int64(sector(2))*sectorSize + 1024
			copy(b[at:], b[footerSize:][:headerSize])
			editFooters(b, put64(offDataOffset, uint64(at)))
			return b
		}, "block allocation table entry 2", smallTable + 8, "overlap the dynamic disk header"},
		{"V1", "truncated in the last block", func(b []byte) []byte { return b[:end-1] },
			"", smallTable + 4*int64(lastInFile), "truncated"},
		{"V1", "truncated in the first block", func(b []byte) []byte { return b[:smallTable+sectorSize+600] }, "block allocation table entry 0", smallTable, "truncated"},
		{"V1", "truncated in the table", func(b []byte) []byte { return b[:smallTable+8] }, "max table entries", footerSize + offMaxEntries, "truncated"},
		{"V1", "truncated in front of the table", func(b []byte) []byte { return b[:smallTable-1] }, "data offset", offDataOffset, "truncated"},
		{"V1", "truncated in the header", func(b []byte) []byte { return b[:footerSize+100] }, "data offset", offDataOffset, "truncated"},
		{"V1", "truncated behind the copy", func(b []byte) []byte { return b[:footerSize] }, "data offset", offDataOffset, "truncated"},
	} {
		t.Run(c.rule+"/"+c.name, func(t *testing.T) {
			b := c.edit(bytes.Clone(file))
			d, err := Open(context.Background(), bytes.NewReader(b), int64(len(b)), Options{})
			if err == nil {
				t.Fatalf("Open accepts the disk: %+v", d.describe())
			}
			var fe *image.FormatError
			if !errors.As(err, &fe) || !errors.Is(err, image.ErrFormat) {
				t.Fatalf("error is not a FormatError: %v", err)
			}
			if fe.Format != "vhd" || c.field != "" && fe.Field != c.field || c.offset >= 0 && fe.Offset != c.offset {
				t.Errorf("field %q at %d of %s, want %q at %d", fe.Field, fe.Offset, fe.Format, c.field, c.offset)
			}
			if !strings.Contains(err.Error(), c.text) {
				t.Errorf("message %q lacks %q", err, c.text)
			}
			// A file with a cookie is a VHD, whatever else is wrong.
			if got, want := Detect(bytes.NewReader(b), int64(len(b))), fe.Field != "cookie" && len(b) >= 8; got != want {
				t.Errorf("Detect = %v, want %v", got, want)
			}
		})
	}
}

func TestRefuseFixed(t *testing.T) {
	for _, c := range []struct {
		name  string
		opts  Options
		edit  func(b []byte) []byte
		field string
	}{
		{"V4/size larger than the file", Options{}, func(b []byte) []byte {
			editFooters(b, func(f []byte) { be.PutUint64(f[offCurrentSize:], 8192+512) })
			return b
		}, "current size"},
		{"V4/geometry larger than the file", Options{SizeByCHS: true}, func(b []byte) []byte {
			editFooters(b, func(f []byte) { be.PutUint16(f[offGeometry:], 17) })
			return b
		}, "disk geometry"},
		{"V4/no geometry", Options{SizeByCHS: true}, func(b []byte) []byte {
			editFooters(b, func(f []byte) { f[offGeometry+2] = 0 })
			return b
		}, "disk geometry"},
		{"V1/truncated", Options{}, func(b []byte) []byte { return b[:len(b)-512] }, "cookie"},
		{"V1/footer at the start only", Options{}, func(b []byte) []byte {
			copy(b, b[8192:])
			return b[:8192]
		}, "disk type"},
		{"V2/checksum", Options{}, func(b []byte) []byte { b[8192+100]++; return b }, "checksum"},
	} {
		t.Run(c.name, func(t *testing.T) {
			b, _ := testDisk{size: 8192, seed: 3}.build()
			b = c.edit(b)
			_, err := Open(context.Background(), bytes.NewReader(b), int64(len(b)), c.opts)
			var fe *image.FormatError
			if !errors.As(err, &fe) || fe.Field != c.field {
				t.Errorf("got %v, want an error about %q", err, c.field)
			}
		})
	}
}

// TestRefuseHugeTable checks that a table of a sparse file of some GiB is not read into memory.
func TestRefuseHugeTable(t *testing.T) {
	const entries = 1 << 30
	f := testDisk{size: 0, chs: &[3]uint16{}, blockSize: 512}
	foot := f.footer(typeDynamic, footerSize)
	be.PutUint64(foot[offCurrentSize:], entries*512)
	sumFooter(foot)
	s := newSparse(4*entries+1<<20, map[int64][]byte{
		0:          foot,
		footerSize: f.header(footerSize+headerSize, entries),
	})
	s.put(s.size-footerSize, foot)
	imagetest.Bounded(t, 1<<20, func() {
		if _, err := Open(context.Background(), s, s.size, Options{}); !errors.Is(err, image.ErrUnsupported) {
			t.Errorf("got %v", err)
		}
	})
}
