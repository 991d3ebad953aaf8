package vhdx

import (
	"errors"
	"io"
	"slices"
)

const (
	// maxLog is how long a log to be replayed may be. All known writers have 1 MiB.
	maxLog = 256 * mib

	// maxDescriptors bounds the memory that a log takes to about 20 MiB.
	maxDescriptors = 1 << 17
)

// findSequence finds the active sequence of the log: the newest one that is valid
// and complete (section 2.3.3). Newer tells whether there are undamaged entries that
// are newer than it; as the last ones of a log may have been written in any order
// when the power failed, that is no error.
func findSequence(l *ring, h *header) (active []entry, newer bool, err error) {
	var newest uint64
	var damage error
	for pos := int64(0); pos < l.length; {
		seq, end, err := l.sequence(pos, h.logGUID)
		var bad errDamaged
		switch {
		case errors.As(err, &bad):
			// Where an entry is, if a damaged one, says more than where none is.
			if b, err := l.sector(pos); err == nil && damage == nil && len(seq) == 0 && string(b[:4]) == entryMagic {
				damage = bad.error
			}
		case err != nil:
			return nil, false, err
		}
		if len(seq) == 0 {
			pos += logSector
			continue
		}
		// Parts of a sequence end with the same entry, so they are as complete.
		pos = end
		head := seq[len(seq)-1]
		newest = max(newest, head.seq)
		tail := slices.IndexFunc(seq, func(e entry) bool { return e.pos == head.tail })
		if tail >= 0 && (active == nil || head.seq > active[len(active)-1].seq) {
			active = seq[tail:]
		}
	}
	if active == nil {
		if damage != nil {
			return nil, false, damage
		}
		return nil, false, fieldError(l.off, "log", "without a complete sequence of entries",
			"one, as the header says that the log has to be replayed; its LogGuid is %s", h.logGUID)
	}
	return active, newest > active[len(active)-1].seq, nil
}

// sequence returns the entries at pos that follow each other, and where they end. If
// an error ends them it is returned too.
func (l *ring) sequence(pos int64, id guid) (seq []entry, end int64, err error) {
	for {
		e, err := l.readEntry(pos, id)
		if err != nil {
			return seq, pos, err
		}
		if n := len(seq); n > 0 && e.seq != seq[n-1].seq+1 {
			return seq, pos, nil
		}
		seq = append(seq, e)
		pos += e.length
	}
}

// openLog returns the file as it is once its log is replayed, which is done in
// memory.
func openLog(r io.ReaderAt, size int64, h *header) (*view, error) {
	if h.logLength > maxLog {
		return nil, unsupported("a log of %d bytes at offset %d that has to be replayed; at most %d are read", h.logLength, h.logOffset, maxLog)
	}
	l := &ring{r: r, off: h.logOffset, length: h.logLength}
	active, newer, err := findSequence(l, h)
	if err != nil {
		return nil, err
	}
	if newer {
		h.warnings = append(h.warnings, "the log has damaged entries; those in front of them were applied")
	}
	head := active[len(active)-1]
	if head.flushed > size {
		return nil, fieldError(l.off+(head.pos+offFlushed)%l.length, "log entry FlushedFileOffset", head.flushed,
			"at most %d, the size of the file: it is truncated", size)
	}
	v := &view{r: r, fileSize: size, size: max(size, head.last)}
	writes, err := l.writes(active)
	if err != nil {
		return nil, err
	}
	for _, w := range writes {
		v.size = max(v.size, w.end)
	}
	v.segments = paint(writes)
	return v, nil
}

// writes returns what the entries write, in order.
func (l *ring) writes(entries []entry) ([]segment, error) {
	n := int64(0)
	for _, e := range entries {
		n += e.descs
	}
	if n > maxDescriptors {
		return nil, unsupported("a log with %d changes, at offset %d; at most %d are applied", n, l.off, maxDescriptors)
	}
	all := make([]segment, 0, n)
	for _, e := range entries {
		data := e.pos + e.dataStart
		for at := int64(0); at < e.dataStart; at += logSector {
			b, err := l.sector(e.pos + at)
			if err != nil {
				return nil, err
			}
			first, n := sectorOfDescs(at, e.descs)
			for i := range n {
				d := parseDesc(b[first+i*descSize:])
				// The file may be changing: what was checked is checked again.
				if want := d.check(e.seq); want != "" {
					return nil, fieldError(l.off+(e.pos+at+first+i*descSize)%l.length, "log entry descriptor", d, "%s", want)
				}
				s := segment{start: int64(d.off), end: int64(d.off + d.size())}
				if d.data() {
					s.data, s.leading, s.trailing = l.off+data%l.length, d.leading, d.trailing
					data += logSector
				}
				if s.start < s.end {
					all = append(all, s)
				}
			}
		}
	}
	return all, nil
}
