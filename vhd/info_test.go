package vhd

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/luksimg/luksimg/internal/imagetest"
)

func TestInfo(t *testing.T) {
	file, _ := small.build()
	be.PutUint32(tableEntry(file, 2), absent)
	d := open(t, bytes.NewReader(file), int64(len(file)), Options{})
	got, err := json.Marshal(d.describe())
	if err != nil {
		t.Fatal(err)
	}
	want := `{"type":"dynamic","virtual_size":18432,"chs_size":18432,"block_size":4096,"allocated_blocks":4,` +
		`"allocated_bytes":14336,"creator_app":"win","creator_version":"6.1","creator_os":"Wi2k",` +
		`"timestamp":"2000-01-02T00:00:00Z","unique_id":"01020304-0506-0708-090a-0b0c0d0e0f10"}`
	if string(got) != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}

	file, _ = testDisk{size: 4096}.build()
	d = open(t, bytes.NewReader(file), int64(len(file)), Options{})
	if i := d.describe(); i.Type != "fixed" || i.AllocatedBytes != 4096 || i.BlockSize != 0 || len(i.Warnings) != 0 {
		t.Errorf("fixed: %+v", i)
	}
}

func TestInfoIsPrintableAndApart(t *testing.T) {
	file, _ := testDisk{size: 4096, creator: "\x1b[2J"}.build()
	editFooters(file, func(f []byte) { copy(f[offCreatorOS:], "\xff\n \x00"); f[offSavedState] = 1 })
	d := open(t, bytes.NewReader(file), int64(len(file)), Options{})
	i := d.describe()
	if i.CreatorApp != "?[2J" || i.CreatorOS != "??" {
		t.Errorf("creator %q of %q", i.CreatorApp, i.CreatorOS)
	}
	i.Warnings[0] = ""
	if d.describe().Warnings[0] == "" {
		t.Error("Info shares its warnings with the disk")
	}
}

func TestWarnings(t *testing.T) {
	type edit = func([]byte) []byte
	footers := func(change func(f []byte)) edit {
		return func(b []byte) []byte { editFooters(b, change); return b }
	}
	size := func(n uint64) edit {
		return footers(func(f []byte) { be.PutUint64(f[offCurrentSize:], n) })
	}
	fixed := testDisk{size: 8192, seed: 1}
	sparse := testDisk{size: 8 * 4096, blockSize: 4096, full: true}
	for _, c := range []struct {
		name     string
		testDisk testDisk
		opts     Options
		edit     edit
		want     []string // part of each warning
		size     int64    // virtual size; 0: testDisk.size
	}{
		{name: "fixed", testDisk: fixed},
		{name: "dynamic", testDisk: sparse},
		{name: "V1/no footer at the end", testDisk: sparse, edit: func(b []byte) []byte { return b[:len(b)-footerSize] }, want: []string{"at the end of the file is missing or damaged"}},
		{name: "V1/bad footer at the end", testDisk: sparse, edit: func(b []byte) []byte { b[len(b)-1]++; return b }, want: []string{"at the end of the file is missing or damaged"}},
		{name: "V1/padded with zeros", testDisk: sparse, edit: func(b []byte) []byte { return append(b, make([]byte, 5000)...) }, want: []string{"at the end of the file is missing or damaged"}},
		{name: "V1/bad copy", testDisk: sparse, edit: func(b []byte) []byte { b[100]++; return b }, want: []string{"the footer copy at the start of the file is damaged"}},
		{name: "V1/no copy", testDisk: sparse, edit: func(b []byte) []byte { clear(b[:footerSize]); return b }, want: []string{"the footer copy at the start of the file is damaged"}},
		{name: "V2/hidden without a new checksum", testDisk: testDisk{size: 4096, creator: "tap\x00", version: 1}, edit: func(b []byte) []byte { b[4096+offHidden] = 1; return b }, want: []string{"hidden"}},
		{name: "V3/data offset of a fixed disk", testDisk: fixed, edit: footers(func(f []byte) { be.PutUint64(f[offDataOffset:], 512) }), want: []string{"data offset of this fixed disk is 0x200"}},
		{name: "V3/data offset of 32 bits", testDisk: fixed, edit: footers(func(f []byte) { be.PutUint64(f[offDataOffset:], noOffset32) })},
		{name: "V3/data offset of the header", testDisk: sparse, edit: func(b []byte) []byte {
			editHeader(b, func(h []byte) { be.PutUint64(h[offNext:], 0) })
			return b
		}, want: []string{"data offset of the dynamic disk header is 0x0"}},
		{name: "V4/fixed disk smaller than its file", testDisk: testDisk{size: 8192, chs: &[3]uint16{65535, 16, 255}}, edit: size(4096), want: []string{"4096 bytes between"}, size: 4096},
		{name: "V4/geometry differs, Hyper-V", testDisk: fixed, edit: footers(func(f []byte) { f[offGeometry+1] = 15 }), want: []string{"is 7680 bytes, but the current size is 8192 bytes; luksimg reads 8192 bytes"}},
		{name: "V4/geometry differs, unknown creator", testDisk: testDisk{size: 8192, creator: "vbox", chs: &[3]uint16{15, 1, 1}}, want: []string{"8192 bytes; QEMU uses the geometry"}},
		{name: "V4/geometry wanted, fixed", testDisk: fixed, opts: Options{SizeByCHS: true}, edit: footers(func(f []byte) { f[offGeometry+1] = 15 }), want: []string{"reads 7680 bytes", "512 bytes between"}, size: 7680},
		{name: "V4/geometry wanted, dynamic", testDisk: sparse, opts: Options{SizeByCHS: true}, edit: size(512), want: []string{"reads 32768 bytes"}},
		{name: "V4/geometry wanted, at its maximum", testDisk: testDisk{size: 8192, chs: &[3]uint16{65535, 16, 255}}, opts: Options{SizeByCHS: true}},
		{name: "V4/empty by geometry", testDisk: testDisk{size: 0}, opts: Options{SizeByCHS: true}},
		{name: "V7/bytes under clear bits", testDisk: sparse, edit: func(b []byte) []byte {
			b[be.Uint32(tableEntry(b, 3))*sectorSize] &^= 0x08
			return b
		}, want: []string{"block 3 has nonzero bytes in sector 4"}},
		{name: "V7/bytes under a clear bitmap", testDisk: sparse, edit: func(b []byte) []byte {
			b[be.Uint32(tableEntry(b, 0))*sectorSize] = 0
			return b
		}, want: []string{"block 0 has nonzero bytes in sector 0"}},
		{name: "V7/bytes under clear bits that are ignored", testDisk: sparse, opts: Options{IgnoreBitmaps: true}, edit: func(b []byte) []byte {
			b[be.Uint32(tableEntry(b, 3))*sectorSize] = 0
			return b
		}},
		{name: "V7/zeros under clear bits", testDisk: sparse, edit: func(b []byte) []byte {
			clear(b[be.Uint32(tableEntry(b, 3))*sectorSize:][:sectorSize+4096])
			return b
		}},
		{name: "V11/saved state", testDisk: sparse, edit: footers(func(f []byte) { f[offSavedState] = 1 }), want: []string{"saved state"}},
		{name: "V11/hidden", testDisk: sparse, edit: footers(func(f []byte) { f[offHidden] = 1 }), want: []string{"hidden"}},
		{name: "V11/copy differs", testDisk: sparse, edit: func(b []byte) []byte {
			be.PutUint64(b[offCurrentSize:], 512)
			b[offSavedState] = 1
			sumFooter(b[:footerSize])
			return b
		}, want: []string{"which was used, in: current size, saved state"}},
		{name: "a batmap", testDisk: testDisk{size: 8 * 4096, blockSize: 4096, full: true, batmap: true}},
		{name: "a batmap with a wrong checksum", testDisk: testDisk{size: 8 * 4096, blockSize: 4096, full: true, batmap: true}, edit: func(b []byte) []byte {
			b[smallTable+sectorSize+offBatmapSum]++
			return b
		}, want: []string{"batmap checksum at offset 2072 is 0x00ffff00, want"}},
		{name: "encrypted by vhd-util", testDisk: testDisk{size: 8 * 4096, blockSize: 4096, full: true, key: bytes.Repeat([]byte{1}, 32)}},
		{name: "nothing behind the table", testDisk: testDisk{size: 128 * 4096, blockSize: 4096, full: true}, edit: func(b []byte) []byte {
			b = b[:smallTable+sectorSize]
			for i := range b[smallTable:] {
				b[smallTable+i] = 0xff
			}
			return b
		}, want: []string{"at the end of the file is missing or damaged"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			b, _ := c.testDisk.build()
			if c.edit != nil {
				b = c.edit(b)
			}
			d := open(t, bytes.NewReader(b), int64(len(b)), c.opts)
			if want := max(c.size, 0); want != 0 && d.Size() != want || want == 0 && d.Size() != c.testDisk.size {
				t.Errorf("size %d", d.Size())
			}
			got := d.describe().Warnings
			if len(got) != len(c.want) {
				t.Fatalf("warnings %q, want %q", got, c.want)
			}
			for i, want := range c.want {
				if !strings.Contains(got[i], want) {
					t.Errorf("warning %q, want %q", got[i], want)
				}
			}
			if d.describe().Encrypted != strings.HasPrefix(c.name, "encrypted") {
				t.Errorf("encrypted: %v", d.describe().Encrypted)
			}
		})
	}
}

func TestWarnLargeDisk(t *testing.T) {
	for size, want := range map[int64]int{2040 << 30: 0, 2042 << 30: 1} {
		s := emptyDisk(size)
		if d := open(t, s, s.size, Options{}); len(d.describe().Warnings) != want {
			t.Errorf("%d bytes: %q", size, d.describe().Warnings)
		}
	}
}

// TestFooterAtBothEnds checks that the footer at the end takes precedence: a fixed disk can hold a
// file that starts like a VHD.
func TestFooterAtBothEnds(t *testing.T) {
	inner, _ := testDisk{size: 8 * 4096, blockSize: 4096, full: true}.build()
	file := append(bytes.Clone(inner), testDisk{size: int64(len(inner))}.footer(typeFixed, noOffset)...)
	d := open(t, bytes.NewReader(file), int64(len(file)), Options{})
	if d.describe().Type != "fixed" || d.Size() != int64(len(inner)) || len(d.describe().Warnings) != 0 {
		t.Errorf("%+v", d.describe())
	}
}

func TestDetect(t *testing.T) {
	dynamic, _ := small.build()
	fixed, _ := testDisk{size: 8192}.build()
	for name, c := range map[string]struct {
		b    []byte
		want bool
	}{
		"dynamic":            {dynamic, true},
		"truncated dynamic":  {dynamic[:3000], true},
		"only a footer copy": {dynamic[:512], true},
		"511 bytes of it":    {dynamic[:511], true},
		"fixed":              {fixed, true},
		"truncated fixed":    {fixed[:8192], false},
		"nothing":            {nil, false},
		"zeros":              {make([]byte, 4096), false},
		"a cookie":           {append([]byte(footerCookie), make([]byte, 1000)...), true}, // a damaged footer counts
		"seven bytes of it":  {dynamic[:7], false},
	} {
		if got := Detect(bytes.NewReader(c.b), int64(len(c.b))); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
	if Detect(bytes.NewReader(fixed), int64(len(fixed))+5000) {
		t.Error("Detect accepts a footer past the end of the reader")
	}
	f := imagetest.NewFlaky(bytes.NewReader(dynamic), 0)
	if Detect(f, int64(len(dynamic))) {
		t.Error("Detect accepts a reader that fails")
	}
}

// TestOpenReadsLittle checks that the search for bytes under clear bits is bounded, however large
// the blocks are.
func TestOpenReadsLittle(t *testing.T) {
	file, _ := testDisk{size: 2 << 20, blockSize: 1 << 20, full: true}.build()
	for i := range 2 {
		clear(file[be.Uint32(tableEntry(file, i))*sectorSize:][:sectorSize+1<<20])
	}
	f := imagetest.NewFlaky(bytes.NewReader(file), 0)
	f.Left.Store(1000)
	open(t, f, int64(len(file)), Options{})
	if n := 1000 - f.Left.Load(); n > 60 {
		t.Errorf("Open made %d reads", n)
	}
}
