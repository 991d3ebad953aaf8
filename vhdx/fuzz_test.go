package vhdx

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"testing"

	"github.com/luksimg/luksimg/image"
	"github.com/luksimg/luksimg/internal/imagetest"
)

// FuzzOpen opens, describes, checks and reads a file of the given size in MiB that holds these
// structures. Their checksums and the offsets that refer to them are valid. So the fuzzer changes
// fields in files far larger than its input.
func FuzzOpen(f *testing.F) {
	base := newMemFile(3 * mib)
	base.put(2*mib-100, bytes.Repeat([]byte{7}, 300))
	seeds := []*layout{}
	for _, c := range []img{
		{size: 5*mib + 512},
		{size: 3 * mib, sector: 4096, block: 2 * mib, states: "d"},
		{size: 8 * mib, states: ".uzmUZMd", shuffle: true},
		{size: 4 * mib, base: base, states: "p.dp"},
		{size: 5 * gib, block: 256 * mib, states: "..............d.", base: base},
		{size: 2 * mib, fixed: true, states: "d", tight: true, userItem: true, extra: []guid{{3}}},
		{size: 0},
	} {
		seeds = append(seeds, c.build())
	}
	for _, steal := range []func(w *layout) []int64{
		func(w *layout) []int64 { return []int64{w.bat} },
		func(w *layout) []int64 { return []int64{w.meta, w.meta + metadataTableSize} },
	} {
		w := img{size: 3 * mib, base: base, states: "p.d"}.build()
		w.putLog(0, 7, logEntry{changes: append(w.steal(steal(w)...), change{off: w.bat + 8192, zero: 8192})}, logEntry{})
		seeds = append(seeds, w)
	}
	for _, w := range seeds {
		bitmap := []byte{0xf0, 0xff, 0}
		f.Add(uint16(w.memFile.size/mib), w.get(header1Offset, 80), w.get(region1Offset, regionEntries+4*tableEntrySize),
			w.get(w.meta, metadataEntries+8*tableEntrySize), w.get(w.meta+metadataTableSize, 700), w.get(w.bat, 160), bitmap, w.get(w.logAt, 16384))
	}
	f.Fuzz(func(t *testing.T, sizeMiB uint16, header, region, meta, items, bat, bitmap, log []byte) {
		if len(header) < 80 || len(region) < regionEntries {
			return
		}
		file := newMemFile(int64(sizeMiB) * mib)
		put := func(off int64, b []byte) {
			if off >= headerEnd && off <= file.size-int64(len(b)) {
				file.put(off, b[:min(len(b), 64<<10)])
			}
		}
		clean := bytes.Clone(log)
		fixLog(clean, header[offLogGUID:][:16])
		put(clampInt64(le.Uint64(header[offLogOffset:])), clean)
		for at := regionEntries; at+tableEntrySize <= len(region); at += tableEntrySize {
			off := clampInt64(le.Uint64(region[at+16:]))
			switch guid(region[at:][:16]) {
			case batGUID:
				put(off, bat)
				for b := bat; len(b) >= 8; b = b[8:] {
					if v := le.Uint64(b); v&stateMask == statePresent {
						put(clampInt64(v&offsetMask), bitmap)
					}
				}
				for i := range 2 { // the entries of sector bitmaps are far apart in the table
					put(off+8*(4096+4097*int64(i)), bat[:min(len(bat), 8)])
				}
			case metadataGUID:
				put(off, meta)
				put(off+metadataTableSize, items)
			}
		}
		file.put(0, []byte(fileMagic))
		file.put(header1Offset, header[:80])
		file.put32(header1Offset, le.Uint32([]byte(headerMagic)))
		file.sum(header1Offset, headerSize)
		for _, at := range []int64{region1Offset, region2Offset} {
			file.put(at, region[:min(len(region), regionTableSize)])
			file.put32(at, le.Uint32([]byte(regionMagic)))
			file.sum(at, regionTableSize)
		}
		fuzzDisk(t, file, base)
	})
}

// fuzzDisk opens a file in bounded memory and tries all methods of the disk.
func fuzzDisk(t *testing.T, file, base *memFile) {
	var d *Disk
	var err error
	imagetest.Bounded(t, 40<<20, func() {
		d, err = Open(context.Background(), file, file.size, Options{Resolve: func(image.Ref) (image.Source, error) { return base, nil }})
	})
	if err != nil {
		if !errors.Is(err, image.ErrFormat) && !errors.Is(err, image.ErrUnsupported) {
			t.Fatalf("error is neither ErrFormat nor ErrUnsupported: %v", err)
		}
		return
	}
	if !Detect(file, file.size) {
		t.Fatal("Open accepts a file that Detect does not")
	}
	ctx := context.Background()
	i, err := d.Info(ctx)
	if err != nil && !errors.Is(err, image.ErrFormat) {
		t.Fatalf("Info: %v", err)
	}
	if _, err := json.Marshal(i); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Check(ctx); err != nil {
		t.Fatalf("Check: %v", err)
	}
	imagetest.Hostile(t, d, 1<<20, func(err error) bool {
		// Only entries that Open did not check can be invalid.
		return errors.Is(err, image.ErrFormat) && d.bat.entries*8 > maxChecked
	}, 2*mib, 4*gib-50)
}
