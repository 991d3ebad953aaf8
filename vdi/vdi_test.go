package vdi

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/luksimg/luksimg/image"
	"github.com/luksimg/luksimg/internal/imagetest"
)

const free, zero = entryFree, entryZero

// variants returns valid images.
func variants() map[string]img {
	return map[string]img{
		"empty disk":               {},
		"nothing written":          {size: 3 * mib, entries: []uint32{free, free, free}},
		"in order":                 {size: 3 * mib, entries: []uint32{0, 1, 2}},
		"fixed":                    {typ: typeFixed, size: 2 * mib, entries: []uint32{0, 1}},
		"out of order, with holes": {size: 6 * mib, entries: []uint32{3, free, 0, zero, 2, 1}},
		"a short last block":       {size: 2*mib + 512, entries: []uint32{1, 2, 0}},
		"no multiple of 512":       {size: mib + 100, entries: []uint32{free, 0}},
		"small blocks":             {size: 40 * 4096, blockSize: 4096, entries: append([]uint32{7, 6, free}, ascending(37)...)},
		"more entries than needed": {size: mib, entries: []uint32{1, free, zero}},
		"extra bytes":              {size: 2 * mib, extra: 4096, entries: []uint32{1, 0}},
		"map behind the data":      {size: 2 * mib, mapOff: 3 * mib, dataOff: 512, entries: []uint32{0, 1}},
		"map not aligned":          {size: 1100 * 4096, blockSize: 4096, mapOff: 510, entries: ascending(1100)},
	}
}

func ascending(n int) []uint32 {
	e := make([]uint32, n)
	for i := range e {
		e[i] = uint32(i) + 8
	}
	return e
}

func TestVariants(t *testing.T) {
	for name, m := range variants() {
		t.Run(name, func(t *testing.T) {
			file, guest := m.build()
			if !Detect(bytes.NewReader(file), int64(len(file))) {
				t.Error("Detect rejects the image")
			}
			d, err := open(file)
			if err != nil {
				t.Fatal(err)
			}
			imagetest.Source(t, d, guest)
			c, err := d.Check(context.Background())
			if err != nil || c.Corruptions != 0 {
				t.Errorf("Check: %+v, %v", c, err)
			}
			i, err := d.Info(context.Background())
			if err != nil || i.VirtualSize != int64(len(guest)) || (i.Type == "fixed") != (m.typ == typeFixed) {
				t.Errorf("Info: %+v, %v", i, err)
			}
			if warned := len(i.Warnings) > 0; warned != (m.size%512 != 0) {
				t.Errorf("warnings: %q", i.Warnings)
			}
		})
	}
}

func TestInfo(t *testing.T) {
	file, _ := img{size: 3*mib - 512, comment: "a note", entries: []uint32{free, 1, 0}}.build()
	d, err := open(file)
	if err != nil {
		t.Fatal(err)
	}
	i, err := d.Info(context.Background())
	want := Info{Type: "dynamic", VirtualSize: 3*mib - 512, AllocatedBytes: 2*mib - 512, FileSize: 3 * mib, BlockSize: mib, Comment: "a note", ID: "6e656469-6974-7974-206f-66206469736b"}
	if err != nil || fmt.Sprint(i) != fmt.Sprint(want) {
		t.Errorf("%+v, %v", i, err)
	}
	ctx, cancel := context.WithCancelCause(context.Background())
	stop := errors.New("stop")
	cancel(stop)
	if _, err := d.Info(ctx); err != stop {
		t.Errorf("Info with an ended context: %v", err)
	}
	if _, err := d.Check(ctx); err != stop {
		t.Errorf("Check with an ended context: %v", err)
	}
}

// An edit sets one field of an image to an invalid value.
type edit struct {
	name  string
	off   int
	value any // uint32 or uint64
	want  string
}

// TestRefuse changes one field at a time.
func TestRefuse(t *testing.T) {
	for _, e := range []edit{
		{"signature", offSignature, uint32(1), "u32Signature"},
		{"version 0.1", offVersion, uint32(1), "version 0.1"},
		{"version 1.2", offVersion, uint32(1<<16 | 2), "version 1.2"},
		{"type 0", offType, uint32(0), "u32Type at offset 76 is 0"},
		{"type 5", offType, uint32(5), "u32Type"},
		{"undo", offType, uint32(typeUndo), "undo"},
		{"differencing", offType, uint32(typeDifferencing), "differencing disk"},
		{"linked", offLinkage, uint32(7), "linked to another"},
		{"header size", offHeaderSize, uint32(0x100), "cbHeader"},
		{"header past the file", offHeaderSize, uint32(1 << 30), "cbHeader"},
		{"block size 0", offBlockSize, uint32(0), "cbBlock"},
		{"block size 3 MiB", offBlockSize, uint32(3 * mib), "cbBlock"},
		{"block size 2 GiB", offBlockSize, uint32(1 << 31), "cbBlock"},
		{"disk longer than the map", offDiskSize, uint64(4*mib + 1), "cbDisk at offset 368 is 4194305, want at most 4194304"},
		{"disk of 2^64 bytes", offDiskSize, ^uint64(0), "cbDisk"},
		{"map in the header", offMap, uint32(400), "offBlocks"},
		{"map past the file", offMap, uint32(6 * mib), "offBlocks"},
		{"more entries than fit", offBlocks, ^uint32(0), "offBlocks"},
		{"data in the header", offData, uint32(256), "offData"},
		{"data over the map", offData, uint32(512), "does not overlap the block map"},
		{"data too late", offData, uint32(2*mib + 1), "inside the file"},
		{"extra bytes", offBlockExtra, ^uint32(0), "inside the file"},
		{"block past the file", 512 + 4, uint32(3), "block map entry at offset 516 is 3, want a block inside the file"},
		{"block far past the file", 512 + 4, uint32(0xfffffffd), "inside the file"},
		{"a block twice", 512 + 4, uint32(0), "block map entry at offset 524 is 0, want a block of the file that no other entry uses"},
	} {
		t.Run(e.name, func(t *testing.T) {
			file, _ := img{size: 4 * mib, entries: []uint32{1, 2, free, 0}}.build()
			switch v := e.value.(type) {
			case uint32:
				binary.LittleEndian.PutUint32(file[e.off:], v)
			case uint64:
				binary.LittleEndian.PutUint64(file[e.off:], v)
			}
			_, err := open(file)
			if err == nil || !strings.Contains(err.Error(), e.want) {
				t.Fatalf("%v, want %q", err, e.want)
			}
			if !errors.Is(err, image.ErrFormat) && !errors.Is(err, image.ErrUnsupported) {
				t.Errorf("%v is neither ErrFormat nor ErrUnsupported", err)
			}
		})
	}
	file, _ := img{size: mib, entries: []uint32{0}}.build()
	for _, n := range []int{0, 1, headerEnd - 1, headerEnd, 515, 516, len(file) - 1} {
		if _, err := open(file[:n]); !errors.Is(err, image.ErrFormat) {
			t.Errorf("cut to %d bytes: %v", n, err)
		}
	}
}

// TestLongMap opens an image whose map is too long for Open to check. Entries are checked when they
// are used, and all of them by Check.
func TestLongMap(t *testing.T) {
	entries := make([]uint32, maxChecked/entrySize+1)
	for i := range entries {
		entries[i] = free
	}
	entries[1], entries[5], entries[len(entries)-1] = 1, 0, 2
	m := img{size: int64(len(entries)) * 4096, blockSize: 4096, dataOff: 9 * mib, entries: entries}
	file, _ := m.build()
	d, err := open(file)
	if err != nil {
		t.Fatal(err)
	}
	if c, err := d.Check(context.Background()); err != nil || c.Corruptions != 0 || c.AllocatedBlocks != 3 {
		t.Errorf("%+v, %v", c, err)
	}
	binary.LittleEndian.PutUint32(file[512+4*5:], 1) // the same block as entry 1
	binary.LittleEndian.PutUint32(file[512+4*(len(entries)-1):], 99)
	if d, err = open(file); err != nil {
		t.Fatal(err)
	}
	if c, err := d.Check(context.Background()); err != nil || c.Corruptions != 2 || len(c.Problems) != 2 {
		t.Errorf("%+v, %v", c, err)
	}
	if _, err := d.ReadAt(make([]byte, 512), d.Size()-512); !errors.Is(err, image.ErrFormat) {
		t.Errorf("read of a block past the file: %v", err)
	}
}

func TestReadErrors(t *testing.T) {
	if Detect(imagetest.Failing{}, mib) || Detect(strings.NewReader("<<< "), 4) {
		t.Error("Detect accepts a reader that fails")
	}
	file, guest := img{size: 3 * mib, entries: []uint32{2, free, 0}}.build()
	imagetest.ReadErrors(t, bytes.NewReader(file), guest, 3, func(r io.ReaderAt) (image.Source, error) {
		return Open(context.Background(), r, int64(len(file)), Options{})
	})
}

func FuzzOpen(f *testing.F) {
	for _, m := range variants() {
		if m.blockSize == 0 {
			m.blockSize = 4096
			m.size = min(m.size, int64(len(m.entries))*4096)
		}
		m.dataOff = min(m.dataOff, 4096)
		if m.mapOff > 4096 {
			m.mapOff = 0
		}
		file, _ := m.build()
		f.Add(file)
	}
	f.Fuzz(func(t *testing.T, file []byte) {
		d, err := open(file)
		if err != nil {
			return
		}
		d.Info(t.Context())
		d.Check(t.Context())
		imagetest.Hostile(t, d, 64<<10, func(err error) bool { return errors.Is(err, image.ErrFormat) })
	})
}
