package vhdx

// tableRefusals returns invalid block allocation tables.
func tableRefusals(small img) []refusal {
	var all []refusal
	w := small.build()
	bad := func(name string, index int64, v uint64, text string) {
		all = append(all, refusal{"table: " + name, small, func(w *layout) { w.put64(w.bat+8*index, v) },
			map[bool]string{true: "block allocation table entry 3 (payload block)", false: "block allocation table entry 5 (payload block)"}[index == 3], w.bat + 8*index, text})
	}
	end := uint64(w.memFile.size)
	bad("state 4", 3, 4, "state 0, 1, 2, 3, 6 or 7")
	bad("state 5", 3, 5, "state 0, 1, 2, 3, 6 or 7")
	bad("partial without a parent", 3, uint64(w.blocks[3])|7, "has no parent")
	bad("reserved bit 3", 3, uint64(w.blocks[3])|6|8, "bits 3 to 19")
	bad("reserved bit 19", 3, uint64(w.blocks[3])|6|1<<19, "bits 3 to 19")
	bad("at 0", 3, 6, "the header section")
	bad("in the log", 3, uint64(w.logAt)|6, "the log")
	bad("in the metadata", 3, uint64(w.meta)|6, "the metadata region")
	bad("in itself", 3, uint64(w.bat)|6, "the block allocation table")
	bad("past the end", 3, end|6, "inside the file")
	bad("at 2^64", 3, 1<<64-mib|6, "inside the file")
	bad("at 2^63", 3, 1<<63|6, "inside the file")
	bad("at 2^63 less 1 MiB", 3, 1<<63-mib|6, "inside the file")
	bad("another block's place", 3, uint64(w.blocks[0])|6, "entry 0")
	bad("another block's place for a sector", 5, uint64(w.blocks[0])|6, "entry 0")

	of := func(c img, name string, index int64, what string, v uint64, text string) {
		w := c.build()
		all = append(all, refusal{"table: " + name, c, func(w *layout) { w.put64(w.bat+8*index, v) }, what, w.bat + 8*index, text})
	}
	big := img{size: 9 * mib, block: 4 * mib, states: "d"}
	wb := big.build()
	of(big, "block over the end", 1, "block allocation table entry 1 (payload block)", uint64(wb.blocks[2]+2*mib)|6, "inside the file")
	of(big, "block over another one", 1, "block allocation table entry 1 (payload block)", uint64(wb.blocks[0]+mib)|6, "entry 0")
	of(big, "block over a region", 1, "block allocation table entry 1 (payload block)", uint64(wb.bat-mib)|6, "overlap")

	d := img{size: 3 * mib, base: newMemFile(2 * mib), states: "pd."}
	wd := d.build()
	const bitmap = "block allocation table entry 4096 (sector bitmap block)"
	for i, name := range []string{"state 1", "state 2", "state 3", "state 4", "state 5"} {
		of(d, "bitmap of "+name, 4096, bitmap, uint64(wd.bitmaps[0])|uint64(i+1), "state 0 or 6")
	}
	of(d, "bitmap of state 7", 4096, bitmap, uint64(wd.bitmaps[0])|7, "state 0 or 6")
	of(d, "no bitmap", 4096, bitmap, 0, "block 0 is partially present")
	of(d, "bitmap past the end", 4096, bitmap, uint64(wd.memFile.size)|6, "inside the file")
	of(d, "bitmap at 0", 4096, bitmap, 6, "the header section")
	of(d, "bitmap in the metadata", 4096, bitmap, uint64(wd.meta)|6, "the metadata region")
	of(d, "bitmap in a block", 4096, bitmap, uint64(wd.blocks[1])|6, "entry 1 at")
	of(d, "bitmap with reserved bits", 4096, bitmap, uint64(wd.bitmaps[0])|6|1<<10, "bits 3 to 19")
	of(d, "partial block past the end", 0, "block allocation table entry 0 (payload block)", uint64(wd.memFile.size)|7, "inside the file")
	of(d, "partial block at 0", 0, "block allocation table entry 0 (payload block)", 7, "the header section")
	of(d, "state 4 with a parent", 0, "block allocation table entry 0 (payload block)", 4, "state 0, 1, 2, 3, 6 or 7")

	// Without a parent, this would be 131072 entries, which fit in 1 MiB. With a parent, the entry
	// of the last sector bitmap follows all blocks of its chunk.
	short := img{size: 131041 * mib, states: ".", base: newMemFile(mib)}
	ws := short.build()
	all = append(all, refusal{"table: no room for the last bitmap", short, func(w *layout) { w.batLen = mib; w.putRegions() },
		"block allocation table length", ws.bat, "at least 1048832 bytes"})
	return all
}
