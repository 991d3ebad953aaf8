package vhdx

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/luksimg/luksimg/image"
	"github.com/luksimg/luksimg/internal/imagetest"
)

const gib = 1 << 30

// A variant is an image that must be read correctly.
type variant struct {
	name     string
	img      img
	edit     func(w *layout)
	warnings int
}

func variants() []variant {
	var all []variant
	add := func(name string, c img) { all = append(all, variant{name: name, img: c}) }
	edited := func(name string, c img, warnings int, edit func(w *layout)) {
		all = append(all, variant{name, c, edit, warnings})
	}
	small := img{size: 5*mib + 512}

	// Sizes, blocks and sectors.
	add("usual", small)
	add("one sector", img{size: 512, states: "d"})
	add("no disk at all", img{size: 0})
	add("one block", img{size: mib, states: "d"})
	add("a sector less than a block", img{size: mib - 512, states: "d", tight: true})
	add("blocks of 2 MiB", img{size: 9*mib + 4096, block: 2 * mib})
	add("blocks of 32 MiB", img{size: 100 * mib, block: 32 * mib})
	add("blocks of 256 MiB", img{size: 260*mib + 512, block: 256 * mib, states: "zd"})
	add("sectors of 4096", img{size: 5*mib + 4096, sector: 4096})
	add("sectors of 4096, blocks of 4 MiB", img{size: 17 * mib, sector: 4096, block: 4 * mib, shuffle: true})
	add("physical sectors of 512", img{size: mib, physical: 512, states: "d"})
	add("fixed", img{size: 4*mib + 1024, fixed: true, states: "d", tight: true})
	add("fixed with holes", img{size: 4 * mib, fixed: true, states: "d.uzm"})
	add("shuffled", img{size: 20 * mib, shuffle: true, states: "dd.", seed: 4})
	add("all states", img{size: 9 * mib, states: ".uzmUZMd"})
	add("empty", img{size: 64 * gib, block: 32 * mib, states: "."})

	// A chunk is 4 GiB of 512-byte sectors, so 4096 blocks of 1 MiB or 16 of 256 MiB.
	far := func(n int, s string) string { return strings.Repeat(".", n) + s }
	add("second chunk of 16 blocks", img{size: 4*gib + 40*mib, block: 256 * mib, states: far(15, "zd")})
	add("second chunk of 4096 blocks", img{size: 4*gib + 3*mib, states: far(4095, "ddzd")})
	add("third chunk of 128 blocks", img{size: 9 * gib, block: 32 * mib, states: far(255, "d"+far(31, ".d"))[:288]})

	// Offsets of structures, and further structures.
	add("metadata far away", img{size: 2 * mib, metaAt: 5 * mib, logAt: 2 * mib, logLen: 3 * mib})
	add("unknown regions and items", img{size: 2 * mib, extra: []guid{{1}, {2}}, userItem: true, creator: "Tëst 1.0"})
	edited("second header is newer", small, 0, func(w *layout) {
		w.putHeader(header2Offset, 8, guid{})
		w.put64(header1Offset+offLogOffset, 77) // the old header is ignored
		w.sum(header1Offset, headerSize)
	})
	edited("equal headers", small, 0, func(w *layout) { w.putHeader(header2Offset, 7, guid{}) })
	edited("first header damaged", small, 1, func(w *layout) { w.put(header1Offset+100, []byte{1}) })
	edited("second header missing", small, 1, func(w *layout) { w.put32(header2Offset, 0) })
	edited("first region table damaged", small, 1, func(w *layout) { w.put(region1Offset+60000, []byte{1}) })
	edited("second region table damaged", small, 1, func(w *layout) { w.put32(region2Offset, 0) })
	edited("region tables differ", small, 1, func(w *layout) {
		w.put32(region2Offset+offEntryCount, 0)
		w.sum(region2Offset, regionTableSize)
	})
	edited("no log", small, 0, func(w *layout) { w.logLen = 0; w.putHeader(header1Offset, 9, guid{}) })
	edited("empty log of a later version", small, 1, func(w *layout) {
		w.put16(header1Offset+offLogVersion, 1)
		w.sum(header1Offset, headerSize)
	})
	edited("locator of a disk without a parent", img{size: mib, locator: []string{"x", "y"}}, 1, func(w *layout) {})
	edited("place of a sector bitmap in a dynamic disk", img{size: 5 * gib, block: 256 * mib, states: far(16, "d...")}, 0, func(w *layout) {
		w.put64(w.bat+8*16, 5<<20|stateZero)
	})
	edited("reserved bits of blocks that are not there", img{size: 2 * mib, states: "."}, 0, func(w *layout) {
		w.put64(w.bat, 1<<50|0xffff8)
	})

	// Differencing disks.
	base := img{size: 6 * mib, states: "ddd.", seed: 9}.build().want
	d := img{size: 6 * mib, base: base, states: "p.zdp"}
	add("differencing", d)
	add("differencing, shuffled", img{size: 6 * mib, base: base, states: "pppd.", shuffle: true, seed: 2})
	add("differencing, larger than its parent", img{size: 9 * mib, base: base, states: ".p"})
	add("differencing, smaller than its parent", img{size: 2*mib + 1024, base: base, states: "p", tight: true})
	add("differencing, all in the parent", img{size: 6 * mib, base: base, states: "."})
	add("differencing, all states", img{size: 8 * mib, base: base, states: ".uzmUZMdp"})
	add("differencing, sectors of 4096", img{size: 6 * mib, base: base, sector: 4096, states: "p"})
	add("differencing, blocks of 4 MiB", img{size: 6 * mib, base: base, block: 4 * mib, states: "p"})
	add("differencing, no parent bytes", img{size: 3 * mib, base: newMemFile(0), states: ".pd"})
	add("differencing, second chunk", img{size: 4*gib + 100*mib, block: 32 * mib, base: base, states: far(126, "pp.pdp")})
	add("differencing, second chunk of 4096 blocks", img{size: 4*gib + 2*mib, base: base, states: "p" + far(4094, "pp.")[:4097]})

	// Logs. build places the metadata before the table.
	log := func(name string, c img, warnings int, entries func(w *layout) []logEntry, pos int64) {
		edited("log: "+name, c, 1+warnings, func(w *layout) { w.putLog(pos, 100, entries(w)...) })
	}
	one := func(c ...change) []logEntry { return []logEntry{{changes: c}} }
	log("nothing to do", small, 0, func(w *layout) []logEntry { return one() }, 0)
	log("table", small, 0, func(w *layout) []logEntry { return one(w.steal(w.bat)...) }, 0)
	log("metadata", small, 0, func(w *layout) []logEntry { return one(w.steal(w.meta, w.meta+metadataTableSize)...) }, 8192)
	log("region tables", small, 0, func(w *layout) []logEntry {
		return one(append(w.steal(region1Offset, region2Offset), change{off: region1Offset + 4096, zero: regionTableSize - 4096})...)
	}, 0)
	log("newest change wins", small, 0, func(w *layout) []logEntry {
		return []logEntry{
			{changes: []change{noise(w.bat), {off: w.meta, zero: mib}}},
			{changes: append(w.steal(w.bat, w.meta, w.meta+metadataTableSize), change{off: w.bat + 4096, zero: 4096})},
			{changes: []change{noise(w.bat + 4096), {off: w.bat + 4096, zero: 0}, {off: w.bat + 4096, zero: 8192}}},
		}
	}, 4096)
	log("around the end", small, 0, func(w *layout) []logEntry {
		return []logEntry{{changes: []change{noise(w.bat), noise(w.meta)}}, {changes: w.steal(w.bat)}, {changes: w.steal(w.meta)}}
	}, mib-8192)
	log("entry around the end", small, 0, func(w *layout) []logEntry {
		return one(w.steal(w.bat, w.meta, w.meta+metadataTableSize)...)
	}, mib-8192)
	log("padded entries", small, 0, func(w *layout) []logEntry {
		return []logEntry{{changes: []change{noise(w.bat)}, pad: 8192}, {changes: w.steal(w.bat), pad: 4096}}
	}, 0)
	log("more descriptors than a sector has room for", small, 0, func(w *layout) []logEntry {
		c := w.steal(w.bat)
		for i := range int64(200) {
			c = append(c, change{off: w.bat + 4096*(1+i%20), zero: 4096})
		}
		return one(append(c, w.steal(w.meta)...)...)
	}, mib-4096)
	log("file grows to LastFileOffset", img{size: 3 * mib, states: "d..", tight: true}, 0, func(w *layout) []logEntry {
		// The last block is in the unwritten part of the file.
		end := uint64(w.memFile.size)
		w.put64(w.bat+16, end|statePresent)
		return []logEntry{{changes: w.steal(w.bat), last: int64(end) + mib}}
	}, 0)
	log("file grows to a change", img{size: 3 * mib, states: "d.."}, 0, func(w *layout) []logEntry {
		end := w.memFile.size
		w.put64(w.bat+16, uint64(end)|statePresent)
		c := noise(end + mib - 4096)
		w.want.put(3*mib-4096, c.data)
		return one(append(w.steal(w.bat), c)...)
	}, 0)
	log("sector bitmap", d, 0, func(w *layout) []logEntry { return one(w.steal(w.bitmaps[0], w.bat)...) }, 0)
	log("a log of 3 MiB", img{size: 2 * mib, logLen: 3 * mib, metaAt: 4 * mib}, 0, func(w *layout) []logEntry {
		return one(w.steal(w.bat)...)
	}, 3*mib-4096)
	edited("log: older entries of the same log", small, 1, func(w *layout) {
		w.putLog(0, 50, logEntry{changes: []change{noise(w.bat)}}, logEntry{changes: []change{noise(w.meta)}})
		w.putLog(16384, 52, logEntry{changes: w.steal(w.bat)})
	})
	edited("log: tail in the middle of what is there", small, 1, func(w *layout) {
		first := w.putLog(0, 50, logEntry{changes: []change{noise(w.bat), noise(w.meta + 65536)}})
		_ = first
		w.putLog(12288, 51, logEntry{changes: w.steal(w.bat)}, logEntry{changes: []change{{off: w.bat + 4096, zero: 4096}}})
	})
	edited("log: another log's entries behind it", small, 1, func(w *layout) {
		w.putLog(0, 50, logEntry{changes: w.steal(w.bat)})
		w.putLog(8192, 51, logEntry{changes: []change{noise(w.bat)}, id: testID})
	})
	edited("log: last entry torn", small, 1, func(w *layout) {
		w.putLog(0, 50, logEntry{changes: w.steal(w.bat)}, logEntry{changes: []change{noise(w.bat)}, bad: true})
	})
	edited("log: torn in its middle", small, 2, func(w *layout) {
		w.putLog(0, 50, logEntry{changes: w.steal(w.bat)}, logEntry{changes: []change{noise(w.bat)}, bad: true}, logEntry{changes: []change{noise(w.bat)}})
	})
	edited("log: sequence without its tail is newer", small, 2, func(w *layout) {
		w.putLog(0, 50, logEntry{changes: w.steal(w.bat)})
		w.putLog(65536, 90, logEntry{changes: []change{noise(w.bat)}, tail: 131072})
	})
	return all
}

// open opens the image. Its parent, if any, is resolved.
func (w *layout) open(opts Options) (*Disk, error) {
	if w.base != nil {
		opts.Resolve = func(image.Ref) (image.Source, error) { return w.base, nil }
	}
	return Open(context.Background(), w.memFile, w.memFile.size, opts)
}

// TestRead reads all variants, whole and in pieces, and compares them.
func TestRead(t *testing.T) {
	all := variants()
	if len(all) < 55 {
		t.Errorf("%d variants", len(all))
	}
	for _, v := range all {
		t.Run(v.name, func(t *testing.T) {
			w := v.img.build()
			if v.edit != nil {
				v.edit(w)
			}
			d, err := w.open(Options{})
			if err != nil {
				t.Fatal(err)
			}
			imagetest.Like(t, d, written{w.want})
			i, err := d.Info(context.Background())
			if err != nil || len(i.Warnings) != v.warnings {
				t.Errorf("%d warnings, want %d: %q, %v", len(i.Warnings), v.warnings, i.Warnings, err)
			}
			checkClean(t, d, strings.Contains(v.name, "place of a sector bitmap"))
		})
	}
}

func checkClean(t *testing.T, d *Disk, corrupt bool) {
	t.Helper()
	r, err := d.Check(context.Background())
	if err != nil || (r.Corruptions != 0) != corrupt {
		t.Errorf("Check: %+v, %v", r, err)
	}
}

// TestHuge opens an empty disk of 64 TiB in blocks of 1 MiB and lists its extents. Its table has
// 512 MiB.
func TestHuge(t *testing.T) {
	w := img{size: 4*mib - 512, states: "d"}.build()
	w.put64(w.items[diskSizeGUID], maxDiskSize)
	w.batLen, w.bat = 513*mib, w.size0()
	w.memFile.size += w.batLen
	end := w.memFile.size
	w.putRegions()
	w.memFile.size += 2 * mib
	m := &metadata{blockSize: mib, blockShift: 20, ratioShift: 12, size: maxDiskSize}
	w.put64(w.bat+8*m.index(maxDiskSize/mib-2), uint64(end)|statePresent)
	w.put(end, []byte("the last but one"))
	var d *Disk
	var err error
	imagetest.Bounded(t, mib, func() { d, err = w.open(Options{}) })
	if err != nil {
		t.Fatal(err)
	}
	for range 2 { // empty pages are not read again
		var got []image.Extent
		for e, err := range image.Extents(d, 0, d.Size()) {
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, e)
		}
		want := []image.Extent{{Offset: 0, Length: maxDiskSize - 2*mib, Kind: image.Hole}, {Offset: maxDiskSize - 2*mib, Length: mib, Kind: image.Data}, {Offset: maxDiskSize - mib, Length: mib, Kind: image.Hole}}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("extents %v, want %v", got, want)
		}
	}
	b := make([]byte, 16)
	if _, err := d.ReadAt(b, maxDiskSize-2*mib); err != nil || string(b) != "the last but one" {
		t.Errorf("%q, %v", b, err)
	}
	i, err := d.Info(context.Background())
	if err != nil || i.AllocatedBytes != mib {
		t.Errorf("%+v, %v", i, err)
	}
	checkClean(t, d, false)
	// Check finds two blocks at one offset, as the table is too large for Open.
	w.put64(w.bat+8*m.index(5), uint64(end)|statePresent)
	if d, err = w.open(Options{}); err != nil {
		t.Fatal(err)
	}
	checkClean(t, d, true)
	// An invalid entry is an error when it is used.
	w.put64(w.bat+8*m.index(5), uint64(end+mib*5)|statePresent)
	if d, err = w.open(Options{}); err != nil {
		t.Fatal(err)
	}
	if _, err := d.ReadAt(make([]byte, 10*mib), 0); !errors.Is(err, image.ErrFormat) {
		t.Errorf("block out of the file: %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := d.Check(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Check: %v", err)
	}
	if _, err := d.Info(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Info: %v", err)
	}
}
