package vhd

import (
	"bytes"
	"testing"

	"github.com/luksimg/luksimg/internal/pieces"
)

// checkVHDUtil applies the rules of "vhd-util check" of XenServer, which an importer can enforce,
// to a file that Create made.
func checkVHDUtil(t testing.TB, file []byte) {
	t.Helper()
	must := func(ok bool, rule string) {
		t.Helper()
		if !ok {
			t.Errorf("vhd-util would refuse the file: %s", rule)
		}
	}
	must(len(file)%512 == 0, "file size")
	foot := file[len(file)-footerSize:]
	size := be.Uint64(foot[offCurrentSize:])
	fixed := be.Uint32(foot[offDiskType:]) == typeFixed
	must(be.Uint32(foot[8:]) == 2, "features")
	must(be.Uint32(foot[offVersion:]) == 0x00010000, "file format version")
	must(!fixed || be.Uint64(foot[offDataOffset:]) == 1<<64-1, "data offset of a fixed disk")
	must(be.Uint32(foot[offGeometry:]) <= geometry(int64(size)), "geometry too large")
	must(pieces.IsZero(foot[offSavedState:]), "saved, hidden or reserved bytes")
	if fixed {
		return
	}
	must(bytes.Equal(file[:footerSize], foot), "footers do not match")
	h := file[footerSize:][:headerSize]
	must(be.Uint32(h[offHeaderVer:]) == 0x00010000, "header version")
	must(be.Uint64(h[offNext:]) == 1<<64-1, "data offset of the header")
	must(pieces.IsZero(h[offParentID:]), "parent of a dynamic disk, or reserved bytes")
	table := int(be.Uint64(h[offTableOffset:]))
	entries := int(be.Uint32(h[offMaxEntries:]))
	blockSize := int(be.Uint32(h[offBlockSize:]))
	must(table%512 == 0 && table+4*entries <= len(file)-footerSize, "table offset")
	must(int(size)/blockSize <= entries, "size exceeds the table")
	end := roundUp(table+4*entries, 512) // end of the headers
	batmap := file[end:]
	if string(foot[offCreatorApp:][:3]) == "tap" {
		must(be.Uint32(foot[offCreatorVer:]) == 0x00010003, "creator version")
		must(string(batmap[:8]) == "tdbatmap", "batmap cookie")
		must(be.Uint32(batmap[offBatmapVersion:]) == 0x00010002, "batmap version")
		n, at := int(be.Uint32(batmap[offBatmapSize:])), int(be.Uint64(batmap[offBatmapOffset:]))
		must(n > 0 && n*512*8 >= entries, "batmap size")
		must(at%512 == 0 && at >= end+512 && at+n*512 <= len(file)-footerSize, "batmap offset")
		must(be.Uint32(batmap[offBatmapSum:]) == checksum(file[at:at+n*512], n*512), "batmap checksum")
		must(blockSize == 2<<20, "block size")
		for i := range entries {
			must((file[at+i/8]<<(i%8)&0x80 != 0) == (be.Uint32(file[table+4*i:]) != absent), "batmap of a block")
		}
		end = at + n*512
	}
	span := roundUp(blockSize/512/8, 512) + blockSize
	for i := range entries {
		e := be.Uint32(file[table+4*i:])
		must(e == absent || int(e)*512 >= end, "block clobbers headers")
		must(e == absent || int(e)*512+span <= len(file)-footerSize, "block clobbers footer")
	}
}
