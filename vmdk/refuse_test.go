package vmdk

import (
	"bytes"
	"context"
	"errors"
	"io"
	"testing"

	"github.com/luksimg/luksimg/image"
	"github.com/luksimg/luksimg/internal/imagetest"
)

// refusal is an edit of an image and the error that results when it is opened or, if opening succeeds, when
// all of it is read.
type refusal struct {
	name   string
	img    img
	edit   func(w *layout)
	field  string // "" for an image.ErrUnsupported
	offset int64  // of the field; -1: not checked
	text   string // in the message
}

func put32(at int64, v uint32) func(*layout) {
	return func(w *layout) { le.PutUint32(w.file[at:], v) }
}

func put64(at int64, v uint64) func(*layout) {
	return func(w *layout) { le.PutUint64(w.file[at:], v) }
}

func put(at int64, s string) func(*layout) { return func(w *layout) { copy(w.file[at:], s) } }

func cut(n int64) func(*layout) { return func(w *layout) { w.file = w.file[:n] } }

func both(a, b func(*layout)) func(*layout) { return func(w *layout) { a(w); b(w) } }

// replaced edits the descriptor in a sparse file.
func replaced(from, to string) func(*layout) {
	return func(w *layout) {
		area := w.file[sectorSize : (1+descriptorSectors)*sectorSize]
		text, _, _ := bytes.Cut(area, []byte{0})
		text = bytes.Replace(bytes.Clone(text), []byte(from), []byte(to), 1)
		clear(area)
		copy(area, text)
	}
}

// The images that refusals edit. All grains are data, and there are at least two tables.
var (
	small  = img{sectors: 1000, grain: 8, entries: 64, kinds: "d"}
	stream = img{version: 3, compress: true, markers: true, late: true, footer: true, sectors: 1000, grain: 16, entries: 32, kinds: "d", level: 1}
)

// refusals returns edits of the binary structures.
func refusals() []refusal {
	w, s := small.build(), stream.build()
	sectors := uint64(len(w.file) / sectorSize)
	table, grain, gd := w.tables[0], w.grains[0], w.directory
	end := int64(len(w.file))
	sGrain, foot := s.grains[0], s.header
	double := small
	double.redundant = true
	dw := double.build()
	plain := stream
	plain.markers, plain.footer, plain.late = false, false, false
	pGrain := plain.build().grains[0]
	zero := img{version: 2, sectors: 1000, grain: 8, kinds: "h"}
	const field = "grain table entry"
	return []refusal{
		{"empty", small, cut(0), "file size", 0, "at least"},
		{"1 byte", small, cut(1), "file size", 0, "at least"},
		{"3 bytes", small, cut(3), "file size", 0, "at least"},
		{"4 bytes", small, cut(4), "file size", 0, "at least 512"},
		{"511 bytes", small, cut(511), "file size", 0, "at least 512"},
		{"header only", small, cut(512), "descriptorSize", offDescriptorSize, "truncated"},
		{"magic", small, put(0, "KDMX"), "magicNumber", 0, `"KDMV"`},
		{"magic backwards", small, put(0, "VMDK"), "magicNumber", 0, `"KDMV"`},
		{"zeros", small, func(w *layout) { clear(w.file) }, "magicNumber", 0, `"KDMV"`},
		{"COWD", small, put(0, "COWD"), "", -1, "COWD"},
		{"SESPARSE", small, put(0, magicSESparse), "", -1, "SESPARSE"},
		{"version 0", small, put32(offVersion, 0), "version", offVersion, "1 to 3"},
		{"version 4", small, put32(offVersion, 4), "", -1, "version 4"},
		{"version 2^32-1", small, put32(offVersion, 1<<32-1), "", -1, "version 4294967295"},
		{"flag 3", small, put32(offFlags, 1|1<<3), "", -1, "flags 0x8"},
		{"flag 15", small, put32(offFlags, 1|1<<15), "", -1, "flags 0x8000"},
		{"markers without compression", small, put32(offFlags, 1|flagMarkers), "", -1, "markers"},
		{"compression without algorithm", small, put32(offFlags, 1|flagCompressed), "compressAlgorithm", offCompressAlgorithm, "1 (deflate)"},
		{"algorithm 2", stream, put(offCompressAlgorithm, "\x02"), "", -1, ""}, // the footer takes precedence: see below
		{"algorithm 2 of the footer", stream, put(foot+offCompressAlgorithm, "\x02"), "compressAlgorithm", foot + offCompressAlgorithm, "deflate"},
		{"algorithm 2 without compression", small, put(offCompressAlgorithm, "\x02"), "compressAlgorithm", offCompressAlgorithm, "0 (none)"},
		{"algorithm 256", small, put(offCompressAlgorithm, "\x00\x01"), "compressAlgorithm", offCompressAlgorithm, "0 (none)"},
		{"line ends", small, put(offLineEnds, "\r\n \r\n"), "line end bytes", offLineEnds, "text"},
		{"line ends 2", small, put(offLineEnds, "\n \n\n"), "line end bytes", offLineEnds, "text"},
		{"capacity 0", small, put64(offCapacity, 0), "capacity", offCapacity, "from 1"},
		{"capacity 2^55", small, put64(offCapacity, 1<<55), "capacity", offCapacity, "sectors"},
		{"capacity 2^64-1", small, put64(offCapacity, 1<<64-1), "capacity", offCapacity, "sectors"},
		{"capacity 2^54", small, put64(offCapacity, 1<<54-1), "", -1, "grain tables"},
		{"capacity of too many tables", small, put64(offCapacity, maxDirectory*64*8+1), "", -1, "grain tables"},
		{"capacity of a directory past the end", small, put64(offCapacity, maxDirectory*64*8), "gdOffset", offDirectory, "inside the file"},
		{"capacity less than the descriptor", small, put64(offCapacity, 999), "capacity", offCapacity, "1000 sectors"},
		{"grainSize 0", small, put64(offGrainSize, 0), "grainSize", offGrainSize, "power of two"},
		{"grainSize 1", small, put64(offGrainSize, 1), "grainSize", offGrainSize, "power of two"},
		{"grainSize 4", small, put64(offGrainSize, 4), "grainSize", offGrainSize, "power of two"},
		{"grainSize 9", small, put64(offGrainSize, 9), "grainSize", offGrainSize, "power of two"},
		{"grainSize 8192", small, put64(offGrainSize, 8192), "grainSize", offGrainSize, "power of two"},
		{"grainSize 2^32+8", small, put64(offGrainSize, 1<<32+8), "grainSize", offGrainSize, "power of two"},
		{"grainSize 2^63", small, put64(offGrainSize, 1<<63), "grainSize", offGrainSize, "power of two"},
		{"entries 0", small, put32(offEntries, 0), "numGTEsPerGT", offEntries, "power of two"},
		{"entries 513", small, put32(offEntries, 513), "numGTEsPerGT", offEntries, "power of two"},
		{"entries 8192", small, put32(offEntries, 8192), "numGTEsPerGT", offEntries, "power of two"},
		{"entries 2^31", small, put32(offEntries, 1<<31), "numGTEsPerGT", offEntries, "power of two"},
		{"entries 4096", small, put32(offEntries, 4096), "", -1, ""}, // reads into the next table: the error is in a later row
		{"descriptorOffset past the end", small, put64(offDescriptor, sectors+1), "descriptorOffset", offDescriptor, "truncated"},
		{"descriptorOffset at the end", small, put64(offDescriptor, sectors), "descriptorOffset", offDescriptor, "inside the file"},
		{"descriptorOffset near the end", small, put64(offDescriptor, sectors-19), "descriptorOffset", offDescriptor, "inside the file"},
		{"descriptorOffset 2^64-1", small, put64(offDescriptor, 1<<64-1), "descriptorOffset", offDescriptor, "truncated"},
		{"descriptorOffset 2^55", small, put64(offDescriptor, 1<<55), "descriptorOffset", offDescriptor, "truncated"},
		{"descriptorOffset 0", small, put64(offDescriptor, 0), "", -1, "without a descriptor"},
		{"descriptor over the directory", small, put64(offDescriptorSize, descriptorSectors+1), "gdOffset", offDirectory, "overlap the descriptor"},
		{"descriptorSize 0", small, put64(offDescriptorSize, 0), "descriptorSize", offDescriptorSize, "from 1"},
		{"descriptorSize 2^64-1", small, put64(offDescriptorSize, 1<<64-1), "descriptorSize", offDescriptorSize, "truncated"},
		{"descriptorSize of more than 1 MiB", small, both(func(w *layout) { w.file = append(w.file, make([]byte, 2<<20)...) }, put64(offDescriptorSize, 2049)), "descriptorSize", offDescriptorSize, "2048"},
		{"descriptor of zeros", small, func(w *layout) { clear(w.file[sectorSize:gd]) }, "", -1, "without a descriptor"},
		{"gdOffset 0", small, put64(offDirectory, 0), "gdOffset", offDirectory, "inside"},
		{"gdOffset past the end", small, put64(offDirectory, sectors+1), "gdOffset", offDirectory, "truncated"},
		{"gdOffset at the end", small, put64(offDirectory, sectors), "gdOffset", offDirectory, "inside"},
		{"gdOffset 2^64-2", small, put64(offDirectory, 1<<64-2), "gdOffset", offDirectory, "truncated"},
		{"gdOffset 2^55+1", small, put64(offDirectory, 1<<55+1), "gdOffset", offDirectory, "truncated"},
		{"gdOffset in the descriptor", small, put64(offDirectory, 2), "gdOffset", offDirectory, "overlap the descriptor"},
		{"gdOffset at the end without a footer", small, put64(offDirectory, directoryAtEnd), "gdOffset", offDirectory, "footer"},
		{"overHead past the end", small, put64(offOverHead, sectors+1), "overHead", offOverHead, "truncated"},
		{"overHead 2^64-1", small, put64(offOverHead, 1<<64-1), "overHead", offOverHead, "truncated"},
		{"no footer", stream, func(w *layout) { w.file = w.file[:foot-sectorSize] }, "gdOffset", offDirectory, "footer"},
		{"half a footer", stream, cut(foot + 100), "gdOffset", offDirectory, "footer"},
		{"stream of a header only", stream, cut(512), "gdOffset", offDirectory, "footer"},
		{"footer that is the header", stream, cut(1024), "gdOffset", offDirectory, "footer"},
		{"footer without magic", stream, put(foot, "KDMX"), "gdOffset", offDirectory, "footer"},
		{"footer far from the end", stream, func(w *layout) { w.file = append(w.file, make([]byte, 64<<10)...) }, "gdOffset", offDirectory, "footer"},
		{"footer without a marker", stream, func(w *layout) { clear(w.file[foot-sectorSize : foot]) }, "footer marker", foot - sectorSize, "type 3"},
		{"footer with the marker of a grain", stream, put32(foot-sectorSize+8, 1), "footer marker", foot - sectorSize, "size 0"},
		{"footer with another marker", stream, put32(foot-sectorSize+12, markerDirectory), "footer marker", foot - sectorSize, "type 3"},
		{"footer that points to the end again", stream, put64(foot+offDirectory, directoryAtEnd), "gdOffset", foot + offDirectory, "truncated"},
		{"footer of version 0", stream, put32(foot+offVersion, 0), "version", foot + offVersion, "1 to 3"},
		{"directory in the footer", stream, put64(foot+offDirectory, uint64(foot/sectorSize)), "gdOffset", foot + offDirectory, "the footer"},
		{"directory entry past the end", small, put32(gd, uint32(sectors)), "grain directory entry 0", gd, "inside the file"},
		{"directory entry 2^32-1", small, put32(gd, 1<<32-1), "grain directory entry 0", gd, "inside the file"},
		{"second directory entry past the end", small, put32(gd+4, uint32(sectors)+9), "grain directory entry 1", gd + 4, "inside the file"},
		{"directory entry 1", small, put32(gd, 1), "grain directory entry 0", gd, "the descriptor"},
		{"directory entry in the directory", small, put32(gd, uint32(gd/sectorSize)), "grain directory entry 0", gd, "the grain directory"},
		{"directory entries alike", small, put32(gd+4, uint32(table/sectorSize)), "grain directory", gd, "overlap"},
		{"directory entry in the footer", stream, put32(s.directory, uint32(foot/sectorSize)), "grain directory entry 0", s.directory, "the footer"},
		{"both directories", double, both(put32(dw.directory, 1), put32(dw.redundant, 1)), "grain directory entry 0", dw.directory, "the descriptor"},
		{"grain past the end", small, put32(table, uint32(sectors)), field, table, "inside the file"},
		{"grain that ends past the end", small, put32(table, uint32(sectors)-7), field, table, "inside the file"},
		{"grain 2^32-1", small, put32(table, 1<<32-1), field, table, "inside the file"},
		{"second grain past the end", small, put32(table+4, uint32(sectors)), field, table + 4, "inside the file"},
		{"last grain past the end", small, put32(w.tables[1]+4*60, uint32(sectors)), field, w.tables[1] + 4*60, "inside the file"},
		{"grain 1 without the flag", small, put32(table, 1), field, table, "the descriptor"},
		{"grain in the descriptor", small, put32(table, 5), field, table, "the descriptor"},
		{"grain in the directory", small, put32(table, uint32(gd/sectorSize)), field, table, ""},
		{"grain in a table", small, put32(table, uint32(table/sectorSize)), field, table, "a grain table"},
		{"grain that ends in the descriptor", small, both(put64(offDescriptor, 30), func(w *layout) {
			w.file = append(w.file[:30*sectorSize], append(bytes.Clone(w.file[sectorSize:21*sectorSize]), w.file[30*sectorSize:]...)...)
			le.PutUint32(w.file[table:], 23)
		}), field, table, "the descriptor"},
		{"grain in the redundant directory", double, put32(dw.tables[0], uint32(dw.redundant/sectorSize)), field, dw.tables[0], "a grain that does not overlap the"},
		{"grain in a redundant table", double, put32(dw.tables[0], uint32(dw.redundant/sectorSize)+1), field, dw.tables[0], "a grain that does not overlap the"},
		{"grain of zeros without the flag", zero, put32(offFlags, 1), field, -1, "overlap"},
		{"cut in the last grain", small, cut(end - 1), field, w.tables[1] + 4*60, "inside the file"},
		{"cut at the first grain", small, cut(grain), field, table, "inside the file"},
		{"cut in the tables", small, cut(w.tables[1]), "overHead", offOverHead, "truncated"},
		{"compressed grain past the end", stream, put32(s.tables[0], 1<<31), field, s.tables[0], "inside the file"},
		{"compressed grain in the footer", stream, put32(s.tables[0], uint32(foot/sectorSize)), field, s.tables[0], "the footer"},
		{"compressed grain in the directory", stream, put32(s.tables[0], uint32(s.directory/sectorSize)), field, s.tables[0], "the grain directory"},
		{"compressed grain in the end", stream, put32(s.tables[0], uint32(foot/sectorSize)+1), "grain marker size", foot + sectorSize + 8, "from 1"},
		{"compressed grain of another", stream, put32(s.tables[0], uint32(s.grains[1]/sectorSize)), "grain marker", s.grains[1], "sector 0"},
		{"marker of another sector", stream, put64(sGrain, 16), "grain marker", sGrain, "sector 0"},
		{"marker of sector 2^64-1", stream, put64(sGrain, 1<<64-1), "grain marker", sGrain, "sector 0"},
		{"marker size 0", stream, put32(sGrain+8, 0), "grain marker size", sGrain + 8, "from 1"},
		{"marker size 1", stream, put32(sGrain+8, 1), "compressed grain", sGrain + 12, "zlib"},
		{"marker size 5", stream, put32(sGrain+8, 5), "compressed grain", sGrain + 12, "zlib"},
		{"marker size 2^32-1", stream, put32(sGrain+8, 1<<32-1), "grain marker size", sGrain + 8, "from 1"},
		{"marker size past the most", stream, put32(sGrain+8, 8192+1024+513), "grain marker size", sGrain + 8, "to 9728"},
		{"marker size too small", stream, put32(sGrain+8, 100), "compressed grain", sGrain + 12, "zlib"},
		{"zlib method", stream, put(sGrain+12, "\x79"), "compressed grain", sGrain + 12, "invalid zlib header"},
		{"zlib window", stream, put(sGrain+12, "\x88\x1c"), "compressed grain", sGrain + 12, "invalid zlib header"},
		{"zlib header checksum", stream, put(sGrain+13, "\x02"), "compressed grain", sGrain + 12, "invalid zlib header"},
		{"zlib dictionary", stream, put(sGrain+12, "\x78\xbb"), "compressed grain", sGrain + 12, "invalid zlib header"},
		{"deflate block type 3", stream, put(sGrain+14, "\x07"), "compressed grain", sGrain + 12, "zlib"},
		{"Adler-32", stream, func(w *layout) { w.file[sGrain+12+int64(le.Uint32(w.file[sGrain+8:]))-1] ^= 1 }, "compressed grain", sGrain + 12, "checksum"},
		{"stored data changed", stream, func(w *layout) { putZ(w, sGrain, flipped(zlibData(imagetest.Noise(8192, 1), -2)), 0) }, "compressed grain", sGrain + 12, ""},
		{"grain too short", stream, func(w *layout) { putZ(w, sGrain, zlibData(imagetest.Noise(8191, 1), 1), 0) }, "compressed grain", sGrain + 12, "before the grain is full"},
		{"grain of nothing", stream, func(w *layout) { putZ(w, sGrain, zlibData(nil, 1), 0) }, "compressed grain", sGrain + 12, "before the grain is full"},
		{"grain too long", stream, func(w *layout) { putZ(w, sGrain, zlibData(make([]byte, 8193), 1), 0) }, "compressed grain", sGrain + 12, "exceeds the grain"},
		{"bomb", stream, func(w *layout) { putZ(w, sGrain, zlibData(make([]byte, 4<<20), 9), 0) }, "compressed grain", sGrain + 12, "exceeds the grain"},
		{"bomb without markers", plain, func(w *layout) {
			w.file = append(w.file, zlibData(make([]byte, 64<<20), 9)...)
			le.PutUint32(w.file[w.tables[0]:], uint32(plainEnd/sectorSize))
		}, "compressed grain", plainEnd, "exceeds the grain"},
		{"no markers, no zlib", plain, put(pGrain, "xy"), "compressed grain", pGrain, "invalid zlib header"},
		{"no markers, checksum", plain, func(w *layout) { w.file[w.grains[1]-sectorSize] ^= 1; flipAdler(w, pGrain) }, "compressed grain", pGrain, ""},
	}
}

// plainEnd is the offset at which the file of stream without markers ends, rounded to 512 bytes.
var plainEnd = func() int64 {
	m := stream
	m.markers, m.footer, m.late = false, false, false
	return int64(len(m.build().file))
}()

// flipped flips a bit of the middle byte.
func flipped(z []byte) []byte { z[len(z)/2] ^= 0x10; return z }

// flipAdler changes two bytes of the Adler-32 checksum of the first grain.
func flipAdler(w *layout, at int64) {
	b := w.file[at:w.grains[1]]
	b = bytes.TrimRight(b, "\x00")
	b[len(b)-1] ^= 0x55
	b[len(b)-3] ^= 0x55
}

// putZ replaces a grain by compressed data with a marker, which must fit.
func putZ(w *layout, at int64, z []byte, lba uint64) {
	if at+12+int64(len(z)) > int64(len(w.file)) {
		panic("no room")
	}
	le.PutUint64(w.file[at:], lba)
	le.PutUint32(w.file[at+8:], uint32(len(z)))
	copy(w.file[at+12:], z)
}

func TestRefuse(t *testing.T) {
	all := refusals()
	if len(all) < 100 {
		t.Errorf("%d refusals", len(all))
	}
	for _, c := range all {
		t.Run(c.name, func(t *testing.T) {
			w := c.img.build()
			c.edit(w)
			if c.field == "" && c.offset < 0 && c.text == "" {
				// The edit is not an error by itself: the data must be right, or there must be an error.
				readsRight(t, w)
				return
			}
			check(t, c, w.file, nil)
		})
	}
}

// readsRight checks that data read from an image is right.
func readsRight(t *testing.T, w *layout) {
	t.Helper()
	d, err := Open(context.Background(), bytes.NewReader(w.file), int64(len(w.file)), Options{})
	if err != nil {
		if !errors.Is(err, image.ErrFormat) {
			t.Fatal(err)
		}
		return
	}
	if _, err := d.Check(context.Background()); err != nil {
		t.Fatalf("Check: %v", err)
	}
	got := make([]byte, d.Size())
	n, err := d.ReadAt(got, 0)
	if !bytes.Equal(got[:n], w.guest[:n]) || err != nil && !errors.Is(err, image.ErrFormat) || err == nil && n != len(w.guest) {
		t.Fatalf("ReadAt returned %d bytes, %v, or the data differs", n, err)
	}
}

// check opens and reads an image, which must return the error.
func check(t *testing.T, c refusal, file []byte, files map[string][]byte) {
	t.Helper()
	var asked []image.Ref
	var err error
	imagetest.Bounded(t, uint64(8<<20+8*len(file)), func() {
		var d *Disk
		if d, err = Open(context.Background(), bytes.NewReader(file), int64(len(file)), Options{Resolve: memory(files, &asked)}); err == nil {
			_, err = io.Copy(io.Discard, io.NewSectionReader(d, 0, d.Size()))
		}
	})
	imagetest.Refused(t, err, "vmdk", c.field, c.offset, c.text)
}
