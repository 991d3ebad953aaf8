package vhdx

import (
	"bytes"
	"encoding/binary"
	"errors"
	"testing"

	"github.com/luksimg/luksimg/image"
)

// fixLog corrects the checksum and the GUID of everything that looks like a log entry.
func fixLog(log, id []byte) {
	for at := 0; at+logSector <= len(log); at += logSector {
		e := log[at:]
		if string(e[:4]) != entryMagic {
			continue
		}
		copy(e[offEntryGUID:][:16], id)
		if n := int(le.Uint32(e[offEntryLength:])); n >= logSector && n <= len(e) {
			le.PutUint32(e[offChecksum:], checksum(e[:n]))
		}
	}
}

// A plainEntry is an entry that plainLog found.
type plainEntry struct {
	pos, next int
	seq       uint64
	tail      uint32
	raw       []byte
}

// plainEntryAt implements the rules of section 2.3.1 once more, one by one, for a log in memory.
func plainEntryAt(log []byte, pos int, id guid) (plainEntry, bool) {
	ring := append(log[pos:len(log):len(log)], log[:pos]...)
	e := plainEntry{pos: pos, seq: le.Uint64(ring[16:]), tail: le.Uint32(ring[12:])}
	length, count := uint64(le.Uint32(ring[8:])), uint64(le.Uint32(ring[24:]))
	ok := string(ring[:4]) == "loge" && length >= 4096 && length%4096 == 0 && length <= uint64(len(log)) &&
		e.tail%4096 == 0 && uint64(e.tail) < uint64(len(log)) && e.seq > 0 && guid(ring[32:48]) == id &&
		64+32*count <= length && le.Uint64(ring[56:]) <= 1<<62
	if !ok {
		return e, false
	}
	e.raw, e.next = ring[:length], (pos+int(length))%len(log)
	zeroed := bytes.Clone(e.raw)
	binary.LittleEndian.PutUint32(zeroed[4:], 0)
	if sum := checksum(e.raw); sum != le.Uint32(e.raw[4:]) || sum != checksum(zeroed) {
		return e, false
	}
	at := (64 + 32*count + 4095) &^ 4095
	for i := range count {
		d := e.raw[64+32*i:][:32]
		data := string(d[:4]) == "desc"
		size, off := le.Uint64(d[8:]), le.Uint64(d[16:])
		if data {
			size = 4096
		}
		if !data && string(d[:4]) != "zero" || le.Uint64(d[24:]) != e.seq || off%4096 != 0 || size%4096 != 0 || off > 1<<62 || size > 1<<62-off {
			return e, false
		}
		if data {
			if at+4096 > length || string(e.raw[at:at+4]) != "data" || uint64(le.Uint32(e.raw[at+4:]))<<32|uint64(le.Uint32(e.raw[at+4092:])) != e.seq {
				return e, false
			}
			at += 4096
		}
	}
	for k := 4096; k < len(e.raw); k += 4096 { // not a rule of the specification, but of readEntry
		if string(e.raw[k:k+4]) == "loge" {
			return e, false
		}
	}
	return e, true
}

// plainLog implements the steps of section 2.3.3 literally.
func plainLog(log []byte, id guid) []plainEntry {
	var candidate []plainEntry
	tail, old := 0, 0
	for {
		var current []plainEntry
		head := tail
		for {
			e, ok := plainEntryAt(log, head, id)
			if !ok || len(current) > 0 && e.seq != current[len(current)-1].seq+1 {
				break
			}
			current = append(current, e)
			head = e.next
		}
		start := -1
		for i, e := range current {
			if uint32(e.pos) == current[len(current)-1].tail {
				start = i
			}
		}
		if start >= 0 && (candidate == nil || current[len(current)-1].seq > candidate[len(candidate)-1].seq) {
			candidate = current[start:]
		}
		if start < 0 {
			tail = (tail + 4096) % len(log)
		} else {
			tail = head
		}
		if tail <= old { // also if one sequence fills the log
			return candidate
		}
		old = tail
	}
}

// plainReplay applies entries to the first bytes of a file.
func plainReplay(file []byte, entries []plainEntry) {
	for _, e := range entries {
		count := int(le.Uint32(e.raw[24:]))
		at := (64 + 32*count + 4095) &^ 4095
		for i := range count {
			d := e.raw[64+32*i:][:32]
			off := le.Uint64(d[16:])
			if string(d[:4]) == "zero" {
				if off < uint64(len(file)) {
					clear(file[off:min(uint64(len(file)), off+le.Uint64(d[8:]))])
				}
				continue
			}
			sector := bytes.Clone(e.raw[at:][:4096])
			at += 4096
			copy(sector, d[8:16])
			copy(sector[4092:], d[4:8])
			if off < uint64(len(file)) {
				copy(file[off:], sector)
			}
		}
	}
}

// FuzzLog puts bytes in a log of 128 KiB and replays it. It compares the resulting file with the
// result of the steps of the specification.
func FuzzLog(f *testing.F) {
	const length, window = ringBuffer, 256 << 10
	add := func(pos int64, entries ...logEntry) {
		w := &layout{memFile: newMemFile(2 * mib), img: img{logAt: mib, logLen: length}}
		w.putLog(pos, 40, entries...)
		all := w.get(mib, length)
		f.Add(uint8(0), bytes.TrimRight(all, "\x00"), true)
		f.Add(uint8(30), bytes.TrimRight(all, "\x00"), false)
	}
	some := []change{noise(8192), {off: 4096, zero: 16384}, noise(12288)}
	add(0, logEntry{changes: some})
	add(0, logEntry{changes: some}, logEntry{changes: []change{noise(4096)}}, logEntry{changes: some[1:], tail: -1})
	add(8192, logEntry{}, logEntry{changes: some, pad: 4096}, logEntry{bad: true}, logEntry{changes: some})
	add(length-8192, logEntry{changes: some}, logEntry{changes: some[:1], tail: 4096})
	add(0, logEntry{tail: 65536}, logEntry{changes: some, seq: 90, tail: -1})
	many := make([]change, 140)
	for i := range many {
		many[i] = change{off: int64(i * 4096), zero: int64(i%7) * 4096}
	}
	add(4096, logEntry{changes: append(many, noise(4096))})
	f.Fuzz(func(t *testing.T, sector uint8, b []byte, fix bool) {
		log := make([]byte, length)
		for i, v := range b[:min(len(b), length)] {
			log[(i+int(sector)*logSector)%length] = v
		}
		if fix {
			// Entries that wrap around the end keep their checksum.
			fixLog(log, logID[:])
		}
		file := newMemFile(2 * mib)
		for at := int64(0); at < window; at += 8192 {
			file.put(at, noise(0).data)
		}
		file.put(mib, log)
		want := file.get(0, window)
		active := plainLog(log, logID)
		v, err := openLog(file, file.size, &header{logGUID: logID, logOffset: mib, logLength: length})
		if err != nil {
			if !errors.Is(err, image.ErrFormat) && !errors.Is(err, image.ErrUnsupported) {
				t.Fatal(err)
			}
			flushed := active != nil && le.Uint64(active[len(active)-1].raw[48:]) > uint64(file.size)
			if active != nil && !flushed {
				t.Fatalf("openLog failed: %v", err)
			}
			return
		}
		if active == nil {
			t.Fatal("openLog succeeded without an active sequence")
		}
		plainReplay(want, active)
		got := make([]byte, window)
		if n, err := v.ReadAt(got, 0); n != window || err != nil {
			t.Fatal(n, err)
		}
		if !bytes.Equal(got, want) {
			t.Fatal("the file differs")
		}
		for off := int64(0); off < window; off += 5000 {
			p := make([]byte, min(6000, window-off))
			if n, err := v.ReadAt(p, off); n != len(p) || err != nil || !bytes.Equal(p, want[off:][:n]) {
				t.Fatalf("the file differs in pieces, or error: %v", err)
			}
		}
		for i, s := range v.segments {
			if s.start >= s.end || i > 0 && s.start < v.segments[i-1].end {
				t.Fatalf("segments overlap: %+v", v.segments)
			}
		}
	})
}
