package vhdx

// metadataRefusals returns invalid metadata regions.
func metadataRefusals(small img) []refusal {
	var all []refusal
	w := small.build()
	bad := func(name string, edit func(w *layout), field string, offset int64, text string) {
		all = append(all, refusal{name, small, edit, field, offset, text})
	}
	// The table.
	bad("metadata signature", func(w *layout) { w.put(w.meta, []byte{0}) }, "metadata table signature", w.meta, "metadata")
	bad("2048 items", func(w *layout) { w.put16(w.meta+offItemCount, 2048) }, "metadata table EntryCount", w.meta+offItemCount, "2047")
	bad("no items", func(w *layout) { w.put16(w.meta+offItemCount, 0) }, "metadata table", w.meta, "no FileParameters")
	bad("2047 items", func(w *layout) { w.put16(w.meta+offItemCount, 2047) }, "metadata table entry 6 ItemId", w.meta+32+6*32, "only once")
	next := w.meta + metadataEntries + 5*tableEntrySize
	sixth := func(w *layout, id guid, off, n, flags uint32) {
		w.put16(w.meta+offItemCount, 6)
		w.put(next, id[:])
		w.put32(next+16, off)
		w.put32(next+20, n)
		w.put32(next+24, flags)
	}
	bad("unknown required item", func(w *layout) { sixth(w, guid{1}, 0, 0, 4) }, "", -1, "metadata item 00000001-")
	bad("unknown required item of the user", func(w *layout) { sixth(w, guid{1}, 0, 0, 5) }, "", -1, "metadata item 00000001-")
	bad("known item of the user that is required", func(w *layout) { sixth(w, diskSizeGUID, 0, 0, 5) }, "", -1, "metadata item "+diskSizeGUID.String())
	bad("item twice", func(w *layout) { sixth(w, diskSizeGUID, 0, 0, 0) }, "metadata table entry 5 ItemId", next, "only once")
	bad("item before the end of the table", func(w *layout) { sixth(w, guid{1}, 65535, 1, 0) }, "metadata table entry 5 Offset", next+16, "at least 65536")
	bad("item at 0", func(w *layout) { sixth(w, guid{1}, 0, 1, 0) }, "metadata table entry 5 Offset", next+16, "at least 65536")
	bad("item past the region", func(w *layout) { sixth(w, guid{1}, mib, 1, 0) }, "metadata table entry 5 Offset", next+16, "inside the metadata region")
	bad("item over the end of the region", func(w *layout) { sixth(w, guid{1}, mib-4, 5, 0) }, "metadata table entry 5 Offset", next+16, "inside the metadata region")
	bad("item at 2^32-1", func(w *layout) { sixth(w, guid{1}, 1<<32-1, mib, 0) }, "metadata table entry 5 Offset", next+16, "inside the metadata region")
	bad("item of more than 1 MiB", func(w *layout) { sixth(w, guid{1}, 65536, mib+1, 0) }, "metadata table entry 5 Length", next+20, "at most 1048576")
	bad("item of 2^32-1 bytes", func(w *layout) { sixth(w, guid{1}, 65536, 1<<32-1, 0) }, "metadata table entry 5 Length", next+20, "4294967295")
	bad("empty item somewhere", func(w *layout) { sixth(w, guid{1}, 65536, 0, 0) }, "metadata table entry 5 Offset", next+16, "empty")
	bad("items overlap", func(w *layout) { sixth(w, guid{1}, uint32(w.items[diskSizeGUID]-w.meta)+7, 1, 0) }, "metadata item Offset", next+16, "does not overlap")
	bad("1025 items of the user", func(w *layout) {
		for i := range int64(1025) {
			w.put(next+i*32, []byte{byte(i), byte(i >> 8), 9})
			w.put32(next+i*32+24, 1)
		}
		w.put16(w.meta+offItemCount, 1030)
	}, "metadata table entry 1029 IsUser", next+1024*32+24, "at most 1024")
	for id, name := range map[guid]string{fileParametersGUID: "FileParameters", diskSizeGUID: "VirtualDiskSize", diskIDGUID: "VirtualDiskId",
		logicalSectorGUID: "LogicalSectorSize", physicalSectorGUID: "PhysicalSectorSize"} {
		bad("no "+name, func(w *layout) { w.put(w.entries[id], []byte("other")); w.put32(w.entries[id]+24, 0) }, "metadata table", w.meta, "no "+name)
		bad("empty "+name, func(w *layout) { w.put32(w.entries[id]+16, 0); w.put32(w.entries[id]+20, 0) }, name+" Length", w.entries[id]+20, "is 0")
		bad("longer "+name, func(w *layout) { w.put32(w.entries[id]+20, le.Uint32(w.get(w.entries[id]+20, 4))+1) }, name+" Length", w.entries[id]+20, "want")
	}

	// The items.
	item := func(name string, id guid, in int64, v uint64, n int, field, text string) {
		at := w.items[id]
		bad(name, func(w *layout) { w.put(at+in, le.AppendUint64(nil, v)[:n]) }, field, at, text)
	}
	blockSize := func(name string, v uint64) {
		item("block size of "+name, fileParametersGUID, 0, v, 4, "BlockSize", "a power of two, at least 1 MiB")
	}
	blockSize("nothing", 0)
	blockSize("512 KiB", mib/2)
	blockSize("3 MiB", 3*mib)
	blockSize("1 MiB and a byte", mib+1)
	blockSize("512 MiB", 512*mib)
	blockSize("2 GiB", 1<<31)
	blockSize("2^32-1", 1<<32-1)
	bad("unknown flags", func(w *layout) { w.put32(w.items[fileParametersGUID]+4, 4) }, "", -1, "file parameters 0x4")
	item("size no multiple", diskSizeGUID, 0, 5*mib+511, 8, "VirtualDiskSize", "multiple of the logical sector size 512")
	item("size over 64 TiB", diskSizeGUID, 0, maxDiskSize+512, 8, "VirtualDiskSize", "at most 70368744177664")
	item("size 2^64-512", diskSizeGUID, 0, 1<<64-512, 8, "VirtualDiskSize", "18446744073709551104")
	item("sector of 0", logicalSectorGUID, 0, 0, 4, "LogicalSectorSize", "512 or 4096")
	item("sector of 1024", logicalSectorGUID, 0, 1024, 4, "LogicalSectorSize", "512 or 4096")
	item("sector of 2^32-1", logicalSectorGUID, 0, 1<<32-1, 4, "LogicalSectorSize", "512 or 4096")
	item("physical sector of 0", physicalSectorGUID, 0, 0, 4, "PhysicalSectorSize", "512 or 4096")
	item("physical sector of 8192", physicalSectorGUID, 0, 8192, 4, "PhysicalSectorSize", "512 or 4096")
	all = append(all, refusal{"size no multiple of 4096", img{size: 2 * mib, sector: 4096}, func(w *layout) { w.put64(w.items[diskSizeGUID], mib+512) },
		"VirtualDiskSize", w.items[diskSizeGUID], "multiple of the logical sector size 4096"})

	// The table is too short for this size: of its 131072 entries, 31 are for sector bitmaps.
	all = append(all, refusal{"table too short", small, func(w *layout) { w.put64(w.items[diskSizeGUID], 131041*mib+512) },
		"block allocation table length", w.bat, "at least 1048584 bytes"})
	return append(all, locatorRefusals()...)
}

// locatorRefusals returns invalid parent locators.
func locatorRefusals() []refusal {
	var all []refusal
	d := img{size: 2 * mib, base: newMemFile(mib), states: "p"}
	w := d.build()
	at, entry := w.items[parentLocatorGUID], w.entries[parentLocatorGUID]
	end := uint32(len(w.locatorItem()))
	bad := func(name string, edit func(w *layout), field string, offset int64, text string) {
		all = append(all, refusal{"locator: " + name, d, edit, field, offset, text})
	}
	pairs := func(name, field, text string, pairs ...string) {
		c := d
		c.locator = append([]string{}, pairs...)
		all = append(all, refusal{"locator: " + name, c, nil, field, -1, text})
	}
	id := "{" + testID.String() + "}"
	bad("none", func(w *layout) { w.put16(w.meta+offItemCount, 5) }, "metadata table", w.meta, "no ParentLocator")
	bad("empty", func(w *layout) { w.put32(entry+16, 0); w.put32(entry+20, 0) }, "ParentLocator", w.meta, "0 bytes")
	bad("19 bytes", func(w *layout) { w.put32(entry+20, 19) }, "ParentLocator", at, "19 bytes")
	bad("type", func(w *layout) { w.put(at, testID[:]) }, "", -1, testID.String())
	bad("65535 keys", func(w *layout) { w.put16(at+offKeyCount, 65535) }, "ParentLocator KeyValueCount", at+offKeyCount, "65535")
	bad("more keys than there is room for", func(w *layout) { w.put16(at+offKeyCount, uint16(end/12)) }, "ParentLocator KeyValueCount", at+offKeyCount, "inside the item")
	key, value := at+20, at+24
	first := func(name string, edit func(w *layout), what, text string) {
		bad(name, edit, "ParentLocator entry 0 "+what, at+20, text)
	}
	first("key past the end", func(w *layout) { w.put32(key, end) }, "key", "inside the item")
	first("key at 2^32-1", func(w *layout) { w.put32(key, 1<<32-1) }, "key", "4294967295")
	first("key at 0", func(w *layout) { w.put32(key, 0) }, "key", "inside the item")
	first("key of no bytes", func(w *layout) { w.put16(at+28, 0) }, "key", "UTF-16")
	first("key of odd length", func(w *layout) { w.put16(at+28, 3) }, "key", "UTF-16")
	first("value past the end", func(w *layout) { w.put32(value, end-1) }, "value", "inside the item")
	first("value of no bytes", func(w *layout) { w.put16(at+30, 0) }, "value", "UTF-16")
	first("value of 65534 bytes", func(w *layout) { w.put16(at+30, 65534) }, "value", "65534 bytes")
	first("NUL in a value", func(w *layout) { w.put16(at+int64(le.Uint32(w.get(value, 4)))+4, 0) }, "value", "NUL")
	pairs("no keys", "ParentLocator", "parent_linkage")
	pairs("no linkage", "ParentLocator", "parent_linkage", "relative_path", "x", "parent_linkage2", id)
	pairs("no path", "ParentLocator", "relative_path", "parent_linkage", id)
	pairs("linkage that is no GUID", "ParentLocator parent_linkage", `"{x}"`, "parent_linkage", "{x}", "relative_path", "x")
	pairs("linkage with other letters", "ParentLocator parent_linkage", "GUID", "parent_linkage", "g"+testID.String()[1:], "relative_path", "x")
	pairs("linkage with other dashes", "ParentLocator parent_linkage", "GUID", "parent_linkage", testID.String()[:8]+"0"+testID.String()[9:], "relative_path", "x")
	pairs("second linkage", "ParentLocator parent_linkage2", "GUID", "parent_linkage", id, "parent_linkage2", "-", "relative_path", "x")
	pairs("key twice", "ParentLocator entry 2 key", "only once", "parent_linkage", id, "relative_path", "x", "relative_path", "y")
	many := make([]string, 0, 2*257)
	for i := range 257 {
		many = append(many, string(rune('a'+i)), "x")
	}
	pairs("257 keys", "ParentLocator KeyValueCount", "at most 256", many...)
	return all
}
