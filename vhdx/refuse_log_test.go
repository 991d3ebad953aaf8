package vhdx

// logRefusals returns invalid logs.
func logRefusals(small img) []refusal {
	var all []refusal
	w := small.build()
	const entryAt = 8192
	at := w.logAt + entryAt
	// One entry with two changes, the second of zeros.
	entry := func(w *layout) logEntry {
		return logEntry{changes: []change{{off: w.bat, data: w.get(w.bat, logSector)}, {off: w.bat + 4096, zero: 4096}}}
	}
	bad := func(name string, change func(w *layout, e *logEntry), field string, in int64, text string) {
		all = append(all, refusal{"log: " + name, small, func(w *layout) {
			e := entry(w)
			change(w, &e)
			w.putLog(entryAt, 20, e)
		}, field, at + in, text})
	}
	edited := func(name string, edit func(b []byte), field string, in int64, text string) {
		bad(name, func(w *layout, e *logEntry) { e.edit = edit }, field, in, text)
	}
	put32 := func(at int, v uint32) func([]byte) { return func(b []byte) { le.PutUint32(b[at:], v) } }
	put64 := func(at int, v uint64) func([]byte) { return func(b []byte) { le.PutUint64(b[at:], v) } }
	all = append(all, refusal{"log: empty", small, func(w *layout) { w.putHeader(header1Offset, 8, logID) }, "log", w.logAt, logID.String()})
	edited("signature", put32(0, 1), "log", -entryAt, "complete sequence")
	bad("checksum", func(w *layout, e *logEntry) { e.bad = true }, "log entry checksum", offChecksum, "is 0x0, want 0x")
	bad("guid of another log", func(w *layout, e *logEntry) { e.id = testID }, "log entry LogGuid", offEntryGUID, testID.String())
	edited("sequence number 0", put64(offEntrySeq, 0), "log entry SequenceNumber", offEntrySeq, "more than 0")
	edited("length 0", put32(offEntryLength, 0), "log entry EntryLength", offEntryLength, "from 4096")
	edited("length no multiple", put32(offEntryLength, 8191), "log entry EntryLength", offEntryLength, "multiple of 4 KiB")
	edited("length more than the log", put32(offEntryLength, mib+4096), "log entry EntryLength", offEntryLength, "the length of the log")
	edited("length 2^32-4096", put32(offEntryLength, 1<<32-4096), "log entry EntryLength", offEntryLength, "4294963200")
	edited("length without its data", put32(offEntryLength, 4096), "log entry EntryLength", offEntryLength, "at least 8192")
	edited("tail no multiple", put32(offTail, entryAt+1), "log entry Tail", offTail, "multiple of 4 KiB")
	edited("tail past the log", put32(offTail, mib), "log entry Tail", offTail, "the length of the log")
	edited("tail elsewhere", put32(offTail, 4096), "log", -entryAt, "complete sequence")
	edited("descriptors past the entry", put32(offDescCount, 127+128), "log entry DescriptorCount", offDescCount, "fits in")
	edited("2^32-1 descriptors", put32(offDescCount, 1<<32-1), "log entry DescriptorCount", offDescCount, "4294967295")
	edited("a third descriptor", put32(offDescCount, 3), "log entry descriptor", entryHeaderSize+2*descSize, `signature "zero" or "desc"`)
	edited("descriptor signature", put32(entryHeaderSize, 1), "log entry descriptor", entryHeaderSize, `signature "zero" or "desc"`)
	edited("descriptor sequence number", put64(entryHeaderSize+24, 21), "log entry descriptor", entryHeaderSize, "sequence number 20")
	edited("offset of data", put64(entryHeaderSize+16, 512), "log entry descriptor", entryHeaderSize, "multiples of 4 KiB")
	edited("offset of data 2^64", put64(entryHeaderSize+16, 1<<64-4096), "log entry descriptor", entryHeaderSize, "an end of")
	edited("offset of zeros", put64(entryHeaderSize+descSize+16, 512), "log entry descriptor", entryHeaderSize+descSize, "multiples of 4 KiB")
	edited("length of zeros", put64(entryHeaderSize+descSize+8, 512), "log entry descriptor", entryHeaderSize+descSize, "multiples of 4 KiB")
	edited("length of zeros 2^64", put64(entryHeaderSize+descSize+8, 1<<64-4096), "log entry descriptor", entryHeaderSize+descSize, "an end of")
	edited("zeros past 2^64", func(b []byte) {
		le.PutUint64(b[entryHeaderSize+descSize+8:], 1<<63)
		le.PutUint64(b[entryHeaderSize+descSize+16:], 1<<63)
	}, "log entry descriptor", entryHeaderSize+descSize, "an end of")
	edited("data signature", put32(4096, 1), "log entry data sector signature", 4096, "data")
	edited("data sequence number high", put32(4096+4, 1), "log entry data sector SequenceNumber", 4096, "20, as in the entry")
	edited("data sequence number low", put32(8192-4, 1), "log entry data sector SequenceNumber", 4096, "20, as in the entry")
	bad("an entry in the padding", func(w *layout, e *logEntry) {
		e.pad = 4096
		e.edit = func(b []byte) { copy(b[8192:], entryMagic) }
	}, "log entry sector", 8192, "the start of another entry")
	bad("truncated file", func(w *layout, e *logEntry) { e.flushed = w.memFile.size + mib }, "log entry FlushedFileOffset", offFlushed, "truncated")
	edited("flushed 2^64-1", put64(offFlushed, 1<<64-1), "log entry FlushedFileOffset", offFlushed, "truncated")
	edited("last 2^64-1", put64(offLast, 1<<64-1), "log entry LastFileOffset", offLast, "18446744073709551615")

	replay := func(name string, edit func(w *layout), field string, offset int64, text string) {
		all = append(all, refusal{"log: " + name, small, edit, field, offset, text})
	}
	replay("only entries of a sequence that starts elsewhere", func(w *layout) {
		w.putLog(0, 20, logEntry{tail: 8192}, logEntry{tail: 8192})
	}, "log", w.logAt, "complete sequence")
	replay("sequence with a gap in its numbers", func(w *layout) {
		w.putLog(0, 20, logEntry{tail: 65536}, logEntry{seq: 22})
	}, "log", w.logAt, "complete sequence")
	replay("what is applied has no region table", func(w *layout) {
		w.putLog(0, 20, logEntry{changes: []change{{off: region1Offset, zero: 2 * regionTableSize}}})
	}, "region table signature", region1Offset, "regi")
	replay("what is applied has a bad table", func(w *layout) {
		b := make([]byte, logSector)
		b[0] = 5
		w.putLog(0, 20, logEntry{changes: []change{{off: w.bat, data: b}}})
	}, "block allocation table entry 0 (payload block)", w.bat, "state")
	replay("too many changes", func(w *layout) {
		// Each entry has the maximum number of descriptors.
		w.logAt, w.logLen = w.size0(), 8*mib
		w.memFile.size += w.logLen
		c := make([]change, (7*mib-entryHeaderSize)/descSize)
		for i := range c {
			c[i] = change{off: w.bat + 4096, zero: 4096}
		}
		w.putLog(0, 20, logEntry{changes: c})
	}, "", -1, "changes")
	replay("too long", func(w *layout) {
		w.logAt, w.logLen = w.size0(), maxLog+mib
		w.memFile.size += w.logLen
		w.putHeader(header1Offset, 8, logID)
	}, "", -1, "a log of 269484032 bytes")
	return all
}
