package vhd

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/luksimg/luksimg/image"
	"github.com/luksimg/luksimg/internal/imagetest"
)

// disks returns one disk of each supported kind.
func disks() map[string]testDisk {
	m := map[string]testDisk{
		"fixed":                      {size: 100 * 512},
		"fixed, empty":               {size: 0},
		"fixed, 511-byte footer":     {size: 100 * 512, short: true},
		"dynamic, empty":             {size: 0, blockSize: 4096},
		"dynamic, spare entries":     {size: 9*4096 + 512, blockSize: 4096, spare: 1000},
		"dynamic, 511-byte footer":   {size: 20 * 4096, blockSize: 4096, short: true},
		"dynamic, footer copy only":  {size: 20 * 4096, blockSize: 4096, noEnd: true},
		"dynamic, lowest bit first":  {size: 40*4096 - 512, blockSize: 4096, creator: "tap\x00", version: 1},
		"dynamic, tap 1.3":           {size: 40*4096 - 512, blockSize: 4096, creator: "tap\x00", version: 0x00010003},
		"dynamic, of whole blocks":   {size: 64 * 8192, blockSize: 8192},
		"dynamic, size below blocks": {size: 1536, blockSize: 1 << 20},
	}
	for shift := 9; shift <= 24; shift++ {
		bs := int64(1) << shift
		m[fmt.Sprintf("dynamic, blocks of %d", bs)] = testDisk{size: min(bs*50, max(bs+bs/2, 1<<20)) &^ 511, blockSize: bs, seed: uint64(shift)}
	}
	return m
}

func open(t testing.TB, r io.ReaderAt, size int64, opts Options) *Disk {
	t.Helper()
	d, err := Open(context.Background(), r, size, opts)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestRead(t *testing.T) {
	for name, c := range disks() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			file, guest := c.build()
			if !Detect(bytes.NewReader(file), int64(len(file))) {
				t.Error("Detect rejects the disk")
			}
			d := open(t, bytes.NewReader(file), int64(len(file)), Options{})
			imagetest.Exact(t, d, guest)
		})
	}
}

// TestReadLargeBlocks reads blocks of 256 MiB, whose bitmaps of 64 KiB are read in chunks.
func TestReadLargeBlocks(t *testing.T) {
	const block = 256 << 20
	c := testDisk{size: block + block/2, blockSize: block, chs: &[3]uint16{65535, 16, 255}}
	bitmap := make([]byte, block/sectorSize/8)
	for i := range bitmap {
		bitmap[i] = 0xff
	}
	bitmap[chunkSize-1], bitmap[chunkSize] = 0xfe, 0x7f // clear bits on both sides of a chunk boundary
	bitmap[len(bitmap)-1] = 0xfe
	start := int64(2048)
	entry := make([]byte, 8)
	be.PutUint32(entry, uint32(start/sectorSize))
	be.PutUint32(entry[4:], absent)
	ones := bytes.Repeat([]byte{1}, 4096)
	edge := int64(chunkSize * 8 * sectorSize)
	s := newSparse(start+int64(len(bitmap))+block+footerSize, map[int64][]byte{
		0:                                        c.footer(typeDynamic, footerSize),
		footerSize:                               c.header(footerSize+headerSize, 2),
		footerSize + headerSize:                  entry,
		start:                                    bitmap,
		start + int64(len(bitmap)) + edge - 2048: ones,
		start + int64(len(bitmap)) + block - 4096: ones,
	})
	s.put(s.size-footerSize, c.footer(typeDynamic, footerSize))
	d := open(t, s, s.size, Options{})

	got, want := make([]byte, 8192), make([]byte, 8192)
	copy(want[2048:], ones)
	clear(want[4096-512 : 4096+512])
	if _, err := d.ReadAt(got, edge-4096); err != nil || !bytes.Equal(got, want) {
		t.Errorf("around the end of a chunk: the data differs, or error: %v", err)
	}
	clear(want)
	copy(want, ones[:4096-512])
	if _, err := d.ReadAt(got, block-4096); err != nil || !bytes.Equal(got, want) {
		t.Errorf("around the end of the block: the data differs, or error: %v", err)
	}
	var text []string
	for e, err := range image.Extents(d, 0, d.Size()) {
		if err != nil {
			t.Fatal(err)
		}
		text = append(text, fmt.Sprintf("%d %d %s", e.Offset, e.Length, e.Kind))
	}
	if got, want := strings.Join(text, "\n"), fmt.Sprintf("0 %d data\n%d 1024 zero\n%d %d data\n%d 512 zero\n%d %d hole",
		edge-512, edge-512, edge+512, block-512-edge-512, block-512, block, block/2); got != want {
		t.Errorf("extents:\n%s\nwant:\n%s", got, want)
	}
}

func TestIgnoreBitmaps(t *testing.T) {
	file, guest := testDisk{size: 30 * 4096, blockSize: 4096, seed: 5}.build()
	d := open(t, bytes.NewReader(file), int64(len(file)), Options{IgnoreBitmaps: true})
	for block := range 30 {
		want := make([]byte, 4096)
		if e := be.Uint32(tableEntry(file, block)); e != absent {
			copy(want, file[e*sectorSize+sectorSize:])
		}
		got := make([]byte, 4096)
		if _, err := d.ReadAt(got, int64(block)*4096); err != nil || !bytes.Equal(got, want) {
			t.Errorf("block %d: the data differs, or error: %v", block, err)
		}
	}
	honest := open(t, bytes.NewReader(file), int64(len(file)), Options{})
	imagetest.Exact(t, honest, guest)
	for e, err := range d.Extents(0, d.Size()) {
		if err != nil || e.Kind == image.Zero {
			t.Errorf("extent %+v, %v", e, err)
		}
	}
}

func TestReadConcurrently(t *testing.T) {
	c := testDisk{size: 60*16384 - 512, blockSize: 16384, seed: 9}
	parent, base := c.build()
	child := c
	child.base, child.seed = base, 10
	locked := c
	locked.key = random(64)
	for _, c := range []testDisk{c, child, locked} {
		file, guest := c.build()
		d := open(t, bytes.NewReader(file), int64(len(file)), Options{Resolve: resolveFrom(parent), Key: c.key})
		imagetest.Exact(t, d, guest)
	}
}

func TestStingyReader(t *testing.T) {
	for _, c := range []testDisk{{size: 20 * 512}, {size: 20 * 4096, blockSize: 4096, short: true, seed: 2}, {size: 20 * 4096, blockSize: 4096, seed: 3, noEnd: true}} {
		file, guest := c.build()
		d := open(t, stingy{file, 100}, int64(len(file)), Options{})
		imagetest.Exact(t, d, guest)
	}
}

// TestReadErrors checks that errors of the file are returned, and that the bytes before them are
// correct.
func TestReadErrors(t *testing.T) {
	for _, c := range []testDisk{{size: 50 * 512}, {size: 20 * 4096, blockSize: 4096, seed: 2}} {
		file, guest := c.build()
		imagetest.ReadErrors(t, bytes.NewReader(file), guest, 2, func(r io.ReaderAt) (image.Source, error) {
			return Open(context.Background(), r, int64(len(file)), Options{})
		})
	}
	// Fail in the bitmap of a block that Open did not sample.
	file, _ := testDisk{size: 500 * 4096, blockSize: 4096, full: true}.build()
	f := imagetest.NewFlaky(bytes.NewReader(file), 0)
	f.Left.Store(1 << 30)
	d := open(t, f, int64(len(file)), Options{})
	f.Left.Store(0)
	var last error
	for _, err := range d.Extents(0, d.Size()) {
		if last != nil {
			t.Error("the sequence continued after an error")
		}
		last = err
	}
	if !errors.Is(last, imagetest.ErrDevice) {
		t.Errorf("Extents ends with %v", last)
	}
}

// TestCutWhileOpen checks that truncating the file after Open is an error, not an early end.
func TestCutWhileOpen(t *testing.T) {
	for _, c := range []testDisk{{size: 50 * 512}, small} {
		file, _ := c.build()
		r := &stingy{file, 1 << 20}
		d := open(t, r, int64(len(file)), Options{})
		r.b = file[:2048]
		_, err := d.ReadAt(make([]byte, d.Size()), 0)
		if !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("got %v", err)
		}
	}
	file, _ := small.build()
	if _, err := Open(context.Background(), bytes.NewReader(file), int64(len(file))+1000, Options{}); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("size larger than the reader: %v", err)
	}
}

// TestReaderWithoutProgress checks that a reader that returns no bytes and no error does not block
// its caller.
func TestReaderWithoutProgress(t *testing.T) {
	file, _ := small.build()
	if _, err := Open(context.Background(), stingy{file, 0}, int64(len(file)), Options{}); !errors.Is(err, io.ErrNoProgress) {
		t.Errorf("got %v", err)
	}
}

func TestReadDoesNotAllocate(t *testing.T) {
	parent := random(20 * 4096)
	for _, c := range []testDisk{
		{size: 50 * 512},
		small,
		{size: 20 * 4096, blockSize: 4096, key: random(64)},
		{size: 20 * 4096, blockSize: 4096, base: parent},
	} {
		file, _ := c.build()
		d := open(t, bytes.NewReader(file), int64(len(file)), Options{Key: c.key, Resolve: resolveRaw(parent)})
		p := make([]byte, d.Size()-100)
		if n := testing.AllocsPerRun(20, func() { d.ReadAt(p, 50) }); n != 0 {
			t.Errorf("%v allocations", n)
		}
	}
}
