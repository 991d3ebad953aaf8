package vhd

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/luksimg/luksimg/image"
	"github.com/luksimg/luksimg/internal/disk"
	"github.com/luksimg/luksimg/internal/golden"
	"github.com/luksimg/luksimg/internal/imagetest"
)

func check(t *testing.T, file []byte) CheckResult {
	t.Helper()
	c, err := CheckFile(context.Background(), bytes.NewReader(file), int64(len(file)))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestCheckFindsNothing(t *testing.T) {
	for name, c := range disks() {
		file, _ := c.build()
		got := check(t, file)
		if got.Leaks != 0 || got.Padding != 0 || got.Corruptions != 0 && !c.noEnd || c.noEnd && got.Corruptions != 1 {
			t.Errorf("%s: %+v", name, got)
		}
	}
	for name, c := range map[string]testDisk{
		"batmap":       {size: 50 * 4096, blockSize: 4096, batmap: true},
		"encrypted":    {size: 50 * 4096, blockSize: 4096, key: random(32)},
		"differencing": namedChild,
		"aligned":      {size: 50 * 4096, blockSize: 4096, align: 4096, full: true},
	} {
		file, _ := c.build()
		got := check(t, file)
		if got.Leaks != 0 || got.Corruptions != 0 || (got.Padding != 0) != (c.align != 0) || len(got.Problems) != 0 || got.ImageEnd != int64(len(file)) {
			t.Errorf("%s: %+v", name, got)
		}
	}
	file, _ := small.build()
	if c := check(t, file); c.TotalBlocks != 5 || c.AllocatedBlocks != 5 || c.FragmentedBlocks == 0 {
		t.Errorf("%+v", c)
	}
	for _, name := range []string{"dynamic-5m", "dynamic-chs", "fixed-64k"} {
		if c := check(t, golden.Read("../testdata/vhd/"+name+".vhd.gz")); c.Corruptions != 0 || c.Leaks != 0 {
			t.Errorf("%s, made by QEMU: %+v", name, c)
		}
	}
}

func TestCheckFinds(t *testing.T) {
	sparse := testDisk{size: 20 * 4096, blockSize: 4096, full: true, batmap: true}
	at := smallTable + sectorSize
	mapSum := func(b []byte) {
		be.PutUint32(b[at+offBatmapSum:], checksum(b[at+sectorSize:][:sectorSize], sectorSize))
	}
	for _, c := range []struct {
		name        string
		testDisk    testDisk
		edit        func(b []byte) []byte
		corruptions int64
		leaks       int64
		text        string // part of the first problem
	}{
		{name: "fixed with room behind", testDisk: testDisk{size: 8192}, edit: func(b []byte) []byte {
			editFooters(b, func(f []byte) { be.PutUint64(f[offCurrentSize:], 2048) })
			return b
		}, leaks: 6144, text: "Leaked bytes 2048 to 8192"},
		{name: "fixed, cut", testDisk: testDisk{size: 8192}, edit: func(b []byte) []byte { return b[1024:] }, corruptions: 1, text: "the disk has 8192 bytes, but the file has only 7168"},
		{name: "no VHD", testDisk: testDisk{size: 8192}, edit: func(b []byte) []byte { return b[:8192] }, corruptions: 1, text: "cookie"},
		{name: "nothing", testDisk: testDisk{size: 8192}, edit: func(b []byte) []byte { return nil }, corruptions: 1, text: "file size"},
		{name: "footer damaged", testDisk: sparse, edit: func(b []byte) []byte { b[len(b)-100]++; return b }, corruptions: 1, leaks: 0, text: "footer at the end of the file is missing or damaged"},
		{name: "both footers damaged", testDisk: sparse, edit: func(b []byte) []byte { b[len(b)-100]++; b[200]++; return b }, corruptions: 2, text: "checksum"},
		{name: "copy damaged", testDisk: sparse, edit: func(b []byte) []byte { b[200]++; return b }, corruptions: 1, text: "footer copy at the start of the file is damaged"},
		{name: "copy differs", testDisk: sparse, edit: func(b []byte) []byte { b[offUniqueID]++; sumFooter(b[:512]); return b }, corruptions: 1, text: "unique id"},
		{name: "header checksum, and goes on", testDisk: sparse, edit: func(b []byte) []byte {
			b[footerSize+900]++
			be.PutUint32(tableEntry(b, 3), be.Uint32(tableEntry(b, 4)))
			return b
		}, corruptions: 2, leaks: 4608, text: "header checksum"},
		{name: "table offset", testDisk: sparse, edit: func(b []byte) []byte {
			editHeader(b, func(h []byte) { be.PutUint64(h[offTableOffset:], 0) })
			return b
		}, corruptions: 1, text: "table offset"},
		{name: "too few entries", testDisk: sparse, edit: func(b []byte) []byte {
			editFooters(b, func(f []byte) { be.PutUint64(f[offCurrentSize:], 21*4096) })
			return b
		}, corruptions: 1, text: "has 20 entries, but the disk needs 21"},
		{name: "a block past the end of the disk", testDisk: sparse, edit: func(b []byte) []byte {
			editFooters(b, func(f []byte) { be.PutUint64(f[offCurrentSize:], 19*4096) })
			return b
		}, corruptions: 1, text: "entry 19 at offset 1612"},
		{name: "all blocks at one place", testDisk: testDisk{size: 20 * 4096, blockSize: 4096, full: true}, edit: func(b []byte) []byte {
			for i := range 20 {
				copy(tableEntry(b, i), tableEntry(b, 0))
			}
			return b
		}, corruptions: 19, leaks: -1, text: "block 1 at byte "},
		{name: "block out of the file", testDisk: sparse, edit: func(b []byte) []byte {
			be.PutUint32(tableEntry(b, 2), 1<<31)
			return b
		}, corruptions: 2, leaks: 4608, text: "entry 2 at offset 1544 is 2147483648: the block would end at"},
		{name: "block in the header", testDisk: testDisk{size: 20 * 4096, blockSize: 4096, full: true}, edit: func(b []byte) []byte {
			be.PutUint32(tableEntry(b, 2), 1)
			return b
		}, corruptions: 2, leaks: 4608, text: "overlaps the dynamic disk header at byte 512"},
		{name: "block in a locator", testDisk: namedChild, edit: func(b []byte) []byte {
			be.PutUint64(b[footerSize+offLocators+locatorSize+offLocatorData:], uint64(be.Uint32(tableEntry(b, 1)))*sectorSize+512)
			sumHeader(b[footerSize:][:headerSize])
			return b
		}, corruptions: 1, text: "overlaps parent locator 1 (W2ru)"},
		{name: "locator out of the file", testDisk: namedChild, edit: func(b []byte) []byte {
			be.PutUint64(b[footerSize+offLocators+locatorSize+offLocatorData:], 1<<60)
			sumHeader(b[footerSize:][:headerSize])
			return b
		}, corruptions: 1, text: "parent locator 1 (W2ru) data offset"},
		{name: "room in front of blocks", testDisk: testDisk{size: 20 * 4096, blockSize: 4096, reserved: 8192}, edit: func(b []byte) []byte { return b }, leaks: 8192, text: "Leaked bytes 2048 to 10240"},
		{name: "room in front of the footer", testDisk: sparse, edit: func(b []byte) []byte {
			return append(append(b[:len(b)-512:len(b)-512], make([]byte, 4096)...), b[len(b)-512:]...)
		}, leaks: 4096, text: "Leaked bytes"},
		{name: "batmap checksum", testDisk: sparse, edit: func(b []byte) []byte { b[at+offBatmapSum]++; return b }, corruptions: 1, text: "batmap checksum"},
		{name: "batmap size", testDisk: sparse, edit: func(b []byte) []byte { b[at+offBatmapSize]++; return b }, corruptions: 1, text: "batmap size"},
		{name: "batmap key hash", testDisk: sparse, edit: func(b []byte) []byte { b[at+offKeyCookie] = 9; return b }, corruptions: 1, text: "batmap key hash cookie"},
		{name: "batmap has a block too many", testDisk: sparse, edit: func(b []byte) []byte {
			b[at+sectorSize+2] |= 8
			mapSum(b)
			return b
		}, corruptions: 1, text: "block 20 as full, but there is no such block"},
		{name: "batmap has an absent block", testDisk: sparse, edit: func(b []byte) []byte {
			be.PutUint32(tableEntry(b, 5), absent)
			return b
		}, corruptions: 1, leaks: 4608, text: "block 5 as full, but it is not in the file"},
		{name: "batmap has a block with clear bits", testDisk: sparse, edit: func(b []byte) []byte {
			b[int64(be.Uint32(tableEntry(b, 7)))*sectorSize] &^= 1
			return b
		}, corruptions: 1, text: "block 7 as full, but bits in its bitmap are clear"},
	} {
		t.Run(c.name, func(t *testing.T) {
			file, _ := c.testDisk.build()
			file = c.edit(file)
			got := check(t, file)
			if got.Corruptions != c.corruptions || c.leaks >= 0 && got.Leaks != c.leaks || len(got.Problems) == 0 || !strings.Contains(got.Problems[0], c.text) {
				t.Errorf("%+v", got)
			}
		})
	}
}

// TestCheckOfDisk checks disks with warnings or without any problem through [Disk.Check].
func TestCheckOfDisk(t *testing.T) {
	file, _ := namedChild.build()
	d := open(t, bytes.NewReader(file), int64(len(file)), Options{MetadataOnly: true})
	c, err := d.Check(context.Background())
	if err != nil || c.Corruptions != 0 {
		t.Fatalf("%+v, %v", c, err)
	}
	got, err := json.Marshal(c)
	want := fmt.Sprintf(`{"corruptions":0,"leaks":0,"padding":0,"image_end_offset":%d,"total_blocks":8,"allocated_blocks":%d,"fragmented_blocks":%d}`,
		len(file), c.AllocatedBlocks, c.FragmentedBlocks)
	if err != nil || string(got) != want {
		t.Errorf("got  %s\nwant %s, %v", got, want, err)
	}
	ctx, cancel := context.WithCancelCause(context.Background())
	cancel(imagetest.ErrDevice)
	if _, err := d.Check(ctx); !errors.Is(err, imagetest.ErrDevice) {
		t.Errorf("cancelled: %v", err)
	}
}

// TestCheckErrors checks that Check returns a read error, wherever it occurs.
func TestCheckErrors(t *testing.T) {
	file, _ := testDisk{size: 20 * 4096, blockSize: 4096, full: true, batmap: true}.build()
	f := imagetest.NewFlaky(bytes.NewReader(file), 0)
	for left := int64(0); ; left++ {
		f.Left.Store(left)
		c, err := CheckFile(context.Background(), f, int64(len(file)))
		if err == nil {
			if c.Corruptions != 0 || left < 10 {
				t.Errorf("%d reads: %+v", left, c)
			}
			break
		}
		if !errors.Is(err, imagetest.ErrDevice) {
			t.Fatal(err)
		}
	}
}

// TestCheckManyOverlaps checks that many overlapping blocks need no more memory than the table.
func TestCheckManyOverlaps(t *testing.T) {
	c := testDisk{size: maxBlocks * 512, blockSize: 512, chs: &[3]uint16{65535, 16, 255}}
	foot := c.footer(typeDynamic, footerSize)
	s := newSparse(footerSize+headerSize+4*maxBlocks+1<<20, map[int64][]byte{
		0:          foot,
		footerSize: c.header(footerSize+headerSize, maxBlocks),
	})
	s.put(s.size-footerSize, foot)
	s.byte = 1 // all entries are 0x01010101, outside the file
	var got CheckResult
	var err error
	imagetest.Bounded(t, 65<<20, func() { got, err = CheckFile(context.Background(), s, s.size) })
	if err != nil || got.Corruptions < maxBlocks || len(got.Problems) != disk.MaxProblems {
		t.Errorf("%d corruptions, %v", got.Corruptions, err)
	}
	huge := newSparse(1<<36, map[int64][]byte{})
	foot = c.footer(typeDynamic, footerSize)
	be.PutUint64(foot[offCurrentSize:], 1<<40)
	sumFooter(foot)
	huge.put(0, foot)
	huge.put(footerSize, c.header(footerSize+headerSize, 1<<31))
	huge.put(huge.size-footerSize, foot)
	if _, err := CheckFile(context.Background(), huge, huge.size); !errors.Is(err, image.ErrUnsupported) {
		t.Errorf("got %v", err)
	}
}
