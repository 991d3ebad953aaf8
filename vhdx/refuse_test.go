package vhdx

import (
	"fmt"
	"io"
	"testing"

	"github.com/luksimg/luksimg/internal/imagetest"
)

// A refusal is an edit of an image and the error that Open, or else reading the whole disk, must
// return.
type refusal struct {
	name   string
	img    img
	edit   func(w *layout)
	field  string // "" for image.ErrUnsupported
	offset int64  // offset of the field; -1: not checked
	text   string // part of the message
}

func refusals() []refusal {
	var all []refusal
	small := img{size: 5*mib + 512}
	bad := func(name string, edit func(w *layout), field string, offset int64, text string) {
		all = append(all, refusal{name, small, edit, field, offset, text})
	}
	w := small.build() // for its offsets

	// The file type identifier, and files that end within each structure.
	cut := func(n int64, field, text string) {
		bad(fmt.Sprintf("%d bytes", n), func(w *layout) { w.memFile.size = n }, field, -1, text)
	}
	cut(0, "file size", "is 0, want at least 1048576")
	cut(8, "file size", "header section")
	cut(header1Offset, "file size", "header section")
	cut(header1Offset+headerSize, "file size", "header section")
	cut(region1Offset+5, "file size", "header section")
	cut(mib-1, "file size", "header section")
	cut(mib, "LogOffset", "1048576 bytes")
	cut(mib+5, "LogOffset", "1048581 bytes")
	cut(w.meta, "region table entry 0 FileOffset", "inside the file")
	cut(w.meta+mib, "region table entry 0 FileOffset", "inside the file")
	cut(w.bat+5, "region table entry 0 FileOffset", "inside the file")
	cut(w.bat+mib, "block allocation table entry 0 (payload block)", "inside the file of 4194304 bytes")
	cut(w.blocks[3]+mib-1, "block allocation table entry 3 (payload block)", "inside the file")
	bad("signature", func(w *layout) { w.put(0, []byte("vhdxfilf")) }, "signature", 0, `"vhdxfilf"`)
	bad("signature of VHD", func(w *layout) { w.put(0, []byte("conectix")) }, "signature", 0, `"conectix"`)

	// The headers.
	header := func(name string, edit func(w *layout, at int64), field string, in int64, text string) {
		bad(name, func(w *layout) {
			edit(w, header1Offset)
			w.sum(header1Offset, headerSize)
		}, field, header1Offset+in, text)
	}
	bad("both header signatures", func(w *layout) { w.put32(header1Offset, 1); w.put32(header2Offset, 1) }, "header signature", header1Offset, "head")
	bad("both header checksums", func(w *layout) { w.put(header1Offset+4095, []byte{1}); w.put(header2Offset+4095, []byte{1}) },
		"header checksum", header1Offset+4, "0x")
	bad("one signature and the other checksum", func(w *layout) { w.put32(header1Offset, 1); w.put32(header2Offset+4, 1) }, "header signature", header1Offset, "intact")
	bad("equal sequence numbers", func(w *layout) { w.id[0]++; w.putHeader(header2Offset, 7, guid{}) },
		"SequenceNumber", header2Offset+offSequence, "differ")
	header("version 0", func(w *layout, at int64) { w.put16(at+offVersion, 0) }, "", -1, "version 0")
	header("version 2", func(w *layout, at int64) { w.put16(at+offVersion, 2) }, "", -1, "format version 2")
	header("log version", func(w *layout, at int64) { w.put16(at+offLogVersion, 1); w.put(at+offLogGUID, logID[:]) }, "", -1, "log version 1")
	header("log length", func(w *layout, at int64) { w.put32(at+offLogLength, mib-4096) }, "LogLength", offLogLength, "multiple of 1 MiB")
	header("log length of 4095 MiB", func(w *layout, at int64) { w.put32(at+offLogLength, 4095*mib) }, "LogOffset", offLogOffset, "inside the file")
	header("log length into the metadata", func(w *layout, at int64) { w.put32(at+offLogLength, 2*mib) }, "region table", region1Offset-header1Offset, "the log")
	header("log offset", func(w *layout, at int64) { w.put64(at+offLogOffset, mib+4096) }, "LogOffset", offLogOffset, "multiple of 1 MiB")
	header("log offset 0", func(w *layout, at int64) { w.put64(at+offLogOffset, 0) }, "LogOffset", offLogOffset, "at least 1 MiB")
	header("log past the end", func(w *layout, at int64) { w.put64(at+offLogOffset, uint64(w.memFile.size)) }, "LogOffset", offLogOffset, "inside")
	header("log offset 2^64", func(w *layout, at int64) { w.put64(at+offLogOffset, -mib&(1<<64-1)) }, "LogOffset", offLogOffset, "multiple")
	header("log offset 2^63", func(w *layout, at int64) { w.put64(at+offLogOffset, 1<<63-mib) }, "LogOffset", offLogOffset, "inside")
	header("log in the table", func(w *layout, at int64) { w.put64(at+offLogOffset, uint64(w.bat)) }, "region table", region1Offset-header1Offset, "block allocation table")
	header("log to replay of no bytes", func(w *layout, at int64) { w.put32(at+offLogLength, 0); w.put(at+offLogGUID, logID[:]) },
		"LogLength", offLogLength, "more than 0")

	// The region tables.
	region := func(name string, edit func(w *layout, at int64), field string, in int64, text string) {
		bad(name, func(w *layout) {
			for _, at := range []int64{region1Offset, region2Offset} {
				edit(w, at)
				w.sum(at, regionTableSize)
			}
		}, field, region1Offset+in, text)
	}
	const entry0, entry1, entry2 = regionEntries, regionEntries + 32, regionEntries + 64
	third := func(w *layout, at int64, id guid, off, length int64, required uint32) {
		w.put32(at+offEntryCount, 3)
		w.put(at+entry2, id[:])
		w.put64(at+entry2+16, uint64(off))
		w.put32(at+entry2+24, uint32(length))
		w.put32(at+entry2+28, required)
	}
	bad("both region signatures", func(w *layout) { w.put32(region1Offset, 1); w.put32(region2Offset, 1) }, "region table signature", region1Offset, "regi")
	bad("both region checksums", func(w *layout) { w.put32(region1Offset+5000, 1); w.put32(region2Offset+5000, 1) }, "region table checksum", region1Offset+4, "0x")
	region("2048 regions", func(w *layout, at int64) { w.put32(at+offEntryCount, 2048) }, "region table EntryCount", offEntryCount, "at most 2047")
	region("2^32-1 regions", func(w *layout, at int64) { w.put32(at+offEntryCount, 1<<32-1) }, "region table EntryCount", offEntryCount, "4294967295")
	region("2047 regions", func(w *layout, at int64) { w.put32(at+offEntryCount, 2047) }, "region table entry 2 FileOffset", entry2+16, "multiple of 1 MiB")
	region("no regions", func(w *layout, at int64) { w.put32(at+offEntryCount, 0) }, "region table", offEntryCount, batGUID.String())
	region("no metadata region", func(w *layout, at int64) { w.put32(at+offEntryCount, 1) }, "region table", offEntryCount, metadataGUID.String())
	region("no table region", func(w *layout, at int64) { w.put(at+entry0, make([]byte, 16)); w.put32(at+entry0+28, 0) }, "region table", offEntryCount, batGUID.String())
	region("unknown required region", func(w *layout, at int64) { third(w, at, guid{1}, w.blocks[0], mib, 1) }, "", -1, "region 00000001-")
	region("region twice", func(w *layout, at int64) { third(w, at, batGUID, w.blocks[0], mib, 1) }, "region table entry 2 Guid", entry2, "only once")
	region("unknown region in the header section", func(w *layout, at int64) { third(w, at, guid{1}, 0, mib, 0) }, "region table entry 2 FileOffset", entry2+16, "1 MiB")
	region("unknown region in the log", func(w *layout, at int64) { third(w, at, guid{1}, w.logAt, mib, 0) }, "region table", 0, "the log")
	region("unknown region in the metadata", func(w *layout, at int64) { third(w, at, guid{1}, w.meta, mib, 0) }, "region table", 0, "the metadata region")
	region("unknown region in a block", func(w *layout, at int64) { third(w, at, guid{1}, w.blocks[3], mib, 0) },
		"block allocation table entry 3 (payload block)", w.bat+24-region1Offset, "region 00000001-")
	region("table offset", func(w *layout, at int64) { w.put64(at+entry0+16, uint64(w.bat+4096)) }, "region table entry 0 FileOffset", entry0+16, "multiple")
	region("table offset 2^64", func(w *layout, at int64) { w.put64(at+entry0+16, -mib&(1<<64-1)) }, "region table entry 0 FileOffset", entry0+16, "multiple")
	region("table past the end", func(w *layout, at int64) { w.put64(at+entry0+16, uint64(w.memFile.size)) }, "region table entry 0 FileOffset", entry0+16, "inside")
	region("table of 4095 MiB", func(w *layout, at int64) { w.put32(at+entry0+24, 4095*mib) }, "region table entry 0 FileOffset", entry0+16, "inside")
	region("table length", func(w *layout, at int64) { w.put32(at+entry0+24, mib+8) }, "region table entry 0 Length", entry0+24, "multiple")
	region("table of no bytes", func(w *layout, at int64) { w.put32(at+entry0+24, 0) }, "block allocation table length", w.bat-region1Offset, "at least 48 bytes")
	region("table in the metadata", func(w *layout, at int64) { w.put64(at+entry0+16, uint64(w.meta)) }, "region table", 0, "overlap")
	region("table in the first block", func(w *layout, at int64) { w.put64(at+entry0+16, uint64(w.blocks[0])) },
		"block allocation table entry 3 (payload block)", w.blocks[0]+24-region1Offset, "state 4")
	region("metadata of no bytes", func(w *layout, at int64) { w.put32(at+entry1+24, 0) }, "region table entry 1 Length", entry1+24, "at least 1 MiB")
	region("metadata elsewhere", func(w *layout, at int64) { w.put64(at+entry1+16, uint64(w.blocks[0])) }, "metadata table signature", w.blocks[0]-region1Offset, "metadata")

	all = append(all, metadataRefusals(small)...)
	all = append(all, tableRefusals(small)...)
	all = append(all, logRefusals(small)...)
	return all
}

// TestRefuse checks that each image is refused in bounded memory.
func TestRefuse(t *testing.T) {
	all := refusals()
	if len(all) < 150 {
		t.Errorf("%d refusals", len(all))
	}
	seen := map[string]bool{}
	for _, c := range all {
		if seen[c.name] {
			t.Errorf("duplicate name %q", c.name)
		}
		seen[c.name] = true
		t.Run(c.name, func(t *testing.T) {
			w := c.img.build()
			if c.edit != nil {
				c.edit(w)
			}
			var err error
			imagetest.Bounded(t, 20<<20, func() { err = openAndRead(w) })
			imagetest.Refused(t, err, "vhdx", c.field, c.offset, c.text)
		})
	}
}

func openAndRead(w *layout) error {
	d, err := w.open(Options{})
	if err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, io.NewSectionReader(d, 0, d.Size()))
	return err
}
