package vhdx

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
)

const (
	logSector = 4096

	entryMagic = "loge"
	zeroMagic  = "zero"
	descMagic  = "desc"
	dataMagic  = "data"

	// Offsets of the fields in the header of a log entry (section 2.3.1.1).
	offEntryLength = 8
	offTail        = 12
	offEntrySeq    = 16
	offDescCount   = 24
	offEntryGUID   = 32
	offFlushed     = 48
	offLast        = 56

	entryHeaderSize = 64
	descSize        = 32
	firstDescs      = (logSector - entryHeaderSize) / descSize
	sectorDescs     = logSector / descSize

	// maxFileOffset limits the file size that a log can set. A block can be at up to 2^64, but no
	// file is that long.
	maxFileOffset = 1 << 62
)

// A ring reads the log, which is a circular buffer of sectors.
type ring struct {
	r           io.ReaderAt
	off, length int64

	buf   []byte // the part read last
	start int64  // offset of buf in the log
}

const ringBuffer = 128 << 10 // divides 1 MiB, and thus the length of every log

// sector returns the sector at pos of the log, which wraps at the end of the log. The sector is
// valid until the next call.
func (l *ring) sector(pos int64) ([]byte, error) {
	pos %= l.length
	start := pos &^ (ringBuffer - 1)
	if l.buf == nil || l.start != start {
		if l.buf == nil {
			l.buf = make([]byte, ringBuffer)
		}
		l.start = -1
		if _, err := readFull(l.r, l.buf, l.off+start); err != nil {
			return nil, err
		}
		l.start = start
	}
	return l.buf[pos-start:][:logSector], nil
}

// An entry is a complete, undamaged entry of the log.
type entry struct {
	pos       int64 // offset in the log, bytes
	length    int64
	seq       uint64
	tail      int64
	descs     int64
	flushed   int64
	last      int64
	dataStart int64 // offset of its data sectors in the entry
}

// errDamaged says why an entry of the log is invalid.
type errDamaged struct{ error }

// readEntry reads and fully checks the entry at pos of the log. If the entry is invalid, it returns
// an errDamaged.
//
// Only the first sector of an entry can look like the start of one. So entries never overlap, and
// searching for one at each sector takes no longer than reading the log a few times.
func (l *ring) readEntry(pos int64, id guid) (entry, error) {
	le := binary.LittleEndian
	b, err := l.sector(pos)
	if err != nil {
		return entry{}, err
	}
	bad := func(at int64, field string, value any, want string, args ...any) (entry, error) {
		return entry{}, errDamaged{fieldError(l.off+(pos+at)%l.length, "log entry "+field, value, want, args...)}
	}
	if string(b[:4]) != entryMagic {
		return bad(0, "signature", fmt.Sprintf("%q", b[:4]), "%q", entryMagic)
	}
	e := entry{
		pos:     pos % l.length,
		length:  int64(le.Uint32(b[offEntryLength:])),
		tail:    int64(le.Uint32(b[offTail:])),
		seq:     le.Uint64(b[offEntrySeq:]),
		descs:   int64(le.Uint32(b[offDescCount:])),
		flushed: clampInt64(le.Uint64(b[offFlushed:])),
		last:    clampInt64(le.Uint64(b[offLast:])),
	}
	e.dataStart = (e.descs + sectorDescs - firstDescs + sectorDescs - 1) / sectorDescs * logSector
	sum := le.Uint32(b[offChecksum:])
	switch g := guid(b[offEntryGUID:][:16]); {
	case g != id:
		return bad(offEntryGUID, "LogGuid", g, "%s, as in the header", id)
	case e.length == 0 || e.length%logSector != 0 || e.length > l.length:
		return bad(offEntryLength, "EntryLength", e.length, "a multiple of 4 KiB from 4096 to %d, the length of the log", l.length)
	case e.tail%logSector != 0 || e.tail >= l.length:
		return bad(offTail, "Tail", e.tail, "a multiple of 4 KiB below %d, the length of the log", l.length)
	case e.seq == 0:
		return bad(offEntrySeq, "SequenceNumber", e.seq, "more than 0")
	case e.dataStart > e.length:
		return bad(offDescCount, "DescriptorCount", e.descs, "at most the number that fits in an entry of %d bytes", e.length)
	case e.last > maxFileOffset:
		return bad(offLast, "LastFileOffset", le.Uint64(b[offLast:]), "at most %d", int64(maxFileOffset))
	}
	c := crc32.Update(0, castagnoli, b[:offChecksum])
	c = crc32.Update(c, castagnoli, make([]byte, 4))
	c = crc32.Update(c, castagnoli, b[offChecksum+4:])
	data := int64(0)
	for at := int64(0); at < e.length; at += logSector {
		if b, err = l.sector(pos + at); err != nil {
			return entry{}, err
		}
		if at > 0 {
			if string(b[:4]) == entryMagic {
				return bad(at, "sector", "the start of another entry", "a sector of the same entry of %d bytes", e.length)
			}
			c = crc32.Update(c, castagnoli, b)
		}
		switch {
		case at < e.dataStart:
			first, n := sectorOfDescs(at, e.descs)
			for i := range n {
				d := parseDesc(b[first+i*descSize:])
				if d.data() {
					data++
				}
				if want := d.check(e.seq); want != "" {
					return bad(at+first+i*descSize, "descriptor", d, "%s", want)
				}
			}
			if at+logSector == e.dataStart && e.dataStart+data*logSector > e.length {
				return bad(offEntryLength, "EntryLength", e.length, "at least %d, for %d data sectors", e.dataStart+data*logSector, data)
			}
		case at < e.dataStart+data*logSector:
			seq := uint64(le.Uint32(b[4:]))<<32 | uint64(le.Uint32(b[logSector-4:]))
			if string(b[:4]) != dataMagic {
				return bad(at, "data sector signature", fmt.Sprintf("%q", b[:4]), "%q", dataMagic)
			}
			if seq != e.seq {
				return bad(at, "data sector SequenceNumber", seq, "%d, as in the entry", e.seq)
			}
		}
	}
	if c != sum {
		return bad(offChecksum, "checksum", fmt.Sprintf("%#x", sum), "%#x", c)
	}
	return e, nil
}

// sectorOfDescs returns the offset of the descriptors in the sector at at of an entry, and their
// number.
func sectorOfDescs(at, all int64) (first, n int64) {
	if at == 0 {
		return entryHeaderSize, min(all, firstDescs)
	}
	return 0, min(all-firstDescs-(at/logSector-1)*sectorDescs, sectorDescs)
}

// A desc is a zero descriptor or a data descriptor (sections 2.3.1.2 and 2.3.1.3).
type desc struct {
	magic    string
	trailing [4]byte // last bytes of a data sector
	leading  [8]byte // first bytes of a data sector
	length   uint64  // number of zeros
	off      uint64
	seq      uint64
}

func parseDesc(b []byte) desc {
	le := binary.LittleEndian
	return desc{
		magic:    string(b[:4]),
		trailing: [4]byte(b[4:8]),
		leading:  [8]byte(b[8:16]),
		length:   le.Uint64(b[8:]),
		off:      le.Uint64(b[16:]),
		seq:      le.Uint64(b[24:]),
	}
}

func (d desc) data() bool { return d.magic == descMagic }

func (d desc) String() string {
	if d.data() {
		return fmt.Sprintf("data for offset %d with sequence number %d", d.off, d.seq)
	}
	return fmt.Sprintf("%q for %d bytes at %d with sequence number %d", d.magic, d.length, d.off, d.seq)
}

// size returns the number of bytes of the file that the descriptor covers.
func (d desc) size() uint64 {
	if d.data() {
		return logSector
	}
	return d.length
}

// check returns the rule that the descriptor breaks, or "".
func (d desc) check(seq uint64) string {
	switch {
	case !d.data() && d.magic != zeroMagic:
		return fmt.Sprintf("signature %q or %q", zeroMagic, descMagic)
	case d.seq != seq:
		return fmt.Sprintf("sequence number %d, as in the entry", seq)
	case d.off%logSector != 0 || !d.data() && d.length%logSector != 0:
		return "multiples of 4 KiB"
	case d.off > maxFileOffset || d.size() > maxFileOffset-d.off:
		return fmt.Sprintf("an end of at most %d", int64(maxFileOffset))
	}
	return ""
}
