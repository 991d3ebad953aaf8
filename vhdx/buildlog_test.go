package vhdx

import (
	"math/rand/v2"

	guids "github.com/luksimg/luksimg/internal/guid"
)

// A change is a change in a log entry: a sector of data, or zeros.
type change struct {
	off  int64
	data []byte // nil for zeros
	zero int64  // number of zeros
}

// A logEntry describes an entry for putLog. The zero value of a field means the usual value.
type logEntry struct {
	changes []change
	tail    int64 // offset in the log; -1: this entry
	seq     uint64
	id      guid
	flushed int64
	last    int64
	pad     int64 // additional bytes of padding
	edit    func(b []byte)
	bad     bool // the checksum is wrong
}

// bytes returns the encoded entry. It shares no memory with e.
func (e logEntry) bytes() []byte {
	data := int64(0)
	for _, c := range e.changes {
		if c.data != nil {
			data++
		}
	}
	descs := (int64(len(e.changes)) + 2 + 127) / 128 * logSector
	b := make([]byte, descs+data*logSector+e.pad)
	copy(b, entryMagic)
	le.PutUint32(b[offEntryLength:], uint32(len(b)))
	le.PutUint32(b[offTail:], uint32(e.tail))
	le.PutUint64(b[offEntrySeq:], e.seq)
	le.PutUint32(b[offDescCount:], uint32(len(e.changes)))
	copy(b[offEntryGUID:], e.id[:])
	le.PutUint64(b[offFlushed:], uint64(e.flushed))
	le.PutUint64(b[offLast:], uint64(e.last))
	sector := b[descs:]
	for i, c := range e.changes {
		d := b[entryHeaderSize+i*descSize:]
		if c.data == nil {
			copy(d, zeroMagic)
			le.PutUint64(d[8:], uint64(c.zero))
		} else {
			copy(d, descMagic)
			copy(d[4:8], c.data[logSector-4:])
			copy(d[8:16], c.data[:8])
			copy(sector, c.data)
			copy(sector, dataMagic)
			le.PutUint32(sector[4:], uint32(e.seq>>32))
			le.PutUint32(sector[logSector-4:], uint32(e.seq))
			sector = sector[logSector:]
		}
		le.PutUint64(d[16:], uint64(c.off))
		le.PutUint64(d[24:], e.seq)
	}
	if e.edit != nil {
		e.edit(b)
	}
	if !e.bad {
		le.PutUint32(b[offChecksum:], checksum(b))
	}
	return b
}

var logID = guids.Must("feedf00d-0000-1111-2222-333344445555")

// putLog writes consecutive entries from pos of the log on, as parts of the sequence that starts
// with the first. It returns their offsets.
func (w *layout) putLog(pos int64, seq uint64, entries ...logEntry) []int64 {
	var at []int64
	tail := pos % w.logLen
	for i, e := range entries {
		if e.seq == 0 {
			e.seq = seq + uint64(i)
		}
		if e.id == (guid{}) {
			e.id = logID
		}
		if e.tail == 0 {
			e.tail = tail
		} else if e.tail < 0 {
			e.tail = pos % w.logLen
		}
		if e.flushed == 0 {
			e.flushed = w.memFile.size &^ (mib - 1)
		}
		if e.last == 0 {
			e.last = w.memFile.size
		}
		at = append(at, pos%w.logLen)
		for b := e.bytes(); len(b) > 0; b = b[logSector:] {
			w.put(w.logAt+pos%w.logLen, b[:logSector])
			pos += logSector
		}
	}
	w.putHeader(header1Offset, 7, logID)
	return at
}

// steal replaces sectors of the file by noise and returns changes that restore them.
func (w *layout) steal(sectors ...int64) []change {
	var all []change
	for _, off := range sectors {
		all = append(all, change{off: off, data: w.get(off, logSector)})
		noise := make([]byte, logSector)
		rand.NewChaCha8([32]byte{byte(off >> 12)}).Read(noise)
		w.put(off, noise)
	}
	return all
}

// noise returns a change that a later one must hide.
func noise(off int64) change {
	b := make([]byte, logSector)
	rand.NewChaCha8([32]byte{3}).Read(b)
	return change{off: off, data: b}
}
