package vhd

import (
	"bytes"
	"fmt"
)

// locators sets values in the three parent locators that are read.
func (f *faults) locators(b *base) {
	for _, i := range []int{1, 2, 3} {
		at := offLocators + i*locatorSize
		l := b.file[footerSize+at:]
		field := func(name string) string { return fmt.Sprintf("parent locator %d (%s) %s", i, l[:4], name) }
		length := int64(be.Uint32(l[offLocatorLength:]))
		off := func(n int64) int64 { return int64(footerSize+at) + n }
		f.header(b, at+offLocatorLength, u32(513, 514, maxLocator, maxLocator+1, 1<<31, max32), field("data length"), off(offLocatorLength))
		f.header(b, at+offLocatorLength, u32(0, 2, 512), "", 0)
		if i != 3 {
			f.header(b, at+offLocatorLength, u32(1, 3, 511), field("data length"), off(offLocatorLength))
		}
		f.header(b, at+offLocatorSpace, u32(0), field("data length"), off(offLocatorLength))
		f.header(b, at+offLocatorSpace, u32(1, 2, 511, 512, 1024, max32), "", 0)
		f.header(b, at+offLocatorData, u64(0, 1, 511, 512, 1024, smallTable-1, smallTable, smallTable+31, uint64(b.end-length+1), uint64(b.end), 1<<63, max64),
			field("data offset"), off(offLocatorData))
		f.header(b, at, u32(0, 1, max32), "", 0) // an unknown system
		for block := range 8 {
			e := be.Uint32(tableEntry(b.file, block))
			if e == absent {
				continue
			}
			f.header(b, at+offLocatorData, u64(uint64(e)*sectorSize, uint64(e)*sectorSize+smallSpan-1),
				"*", -1)
		}
	}
	f.header(b, offParentName, u64(0, max64, 0xd800d800d800d800), "", 0)
	f.header(b, offParentTime, u32(0, max32), "", 0)
	for _, i := range []int{0, 5, 6} { // deprecated or empty
		f.header(b, offLocators+i*locatorSize+offLocatorData, u64(0, max64), "", 0)
		f.header(b, offLocators+i*locatorSize+offLocatorLength, u32(max32), "", 0)
		f.header(b, offLocators+i*locatorSize+offLocatorSpace, u32(max32), "", 0)
	}
}

// batmaps sets values in the batmap header, which is only a hint.
func (f *faults) batmaps(b *base) {
	const at = smallTable + sectorSize
	for _, c := range []struct {
		off int
		put put
	}{
		{0, u64(0, max64)},
		{offBatmapOffset, u64(0, 1, 512, at, at+511, uint64(b.end)-511, uint64(b.end), 1<<63, max64)},
		{offBatmapSize, u32(0, 2, 4096, 4098, 1<<31, max32)},
		{offBatmapVersion, u32(0, 0xffff, 0x10001, 0x10003, 0x20000, max32)},
		{offBatmapSum, u32(0, max32)},
		{offBatmapMarker, u8(1, 255)},
		{sectorSize, u8(0, 1)},
		{sectorSize + 511, u8(255)},
		{offKeyNonce, u64(max64)},
		{offKeyHash, u64(max64)},
	} {
		for _, v := range c.put.values {
			file := bytes.Clone(b.file)
			c.put.in(file[at+c.off:], v)
			f.add(b, fmt.Sprintf("batmap byte %d is %#x", c.off, v), file, "", 0)
		}
	}
	for _, v := range []byte{2, 3, 0x80, 255} {
		file := bytes.Clone(b.file)
		file[at+offKeyCookie] = v
		f.add(b, fmt.Sprintf("key hash cookie %d", v), file, "batmap key hash cookie", at+offKeyCookie)
	}
}

// keys changes the values that identify the key, so that the key is wrong.
func (f *faults) keys(b *base) {
	const at = smallTable + sectorSize
	for _, off := range []int{offKeyNonce, offKeyNonce + 31, offKeyHash, offKeyHash + 31} {
		file := bytes.Clone(b.file)
		file[at+off] ^= 1
		f.add(b, fmt.Sprintf("batmap byte %d", off), file, "key", 0)
	}
}
