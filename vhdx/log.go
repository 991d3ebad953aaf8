package vhdx

import (
	"errors"
	"io"
	"slices"
)

const (
	// maxLog is the maximum size of a log to replay. All known writers use 1 MiB.
	maxLog = 256 * mib

	// maxDescriptors limits the memory for a log to about 20 MiB.
	maxDescriptors = 1 << 17
)

// findSequence returns the active sequence of the log: the newest valid and complete one (section
// 2.3.3). newer reports whether there are newer undamaged entries. They are not an error: a power
// failure can leave the last entries of a log written in any order.
func findSequence(l *ring, h *header) (active []entry, newer bool, err error) {
	var newest uint64
	var damage error
	for pos := int64(0); pos < l.length; {
		seq, end, err := l.sequence(pos, h.logGUID)
		var bad errDamaged
		switch {
		case errors.As(err, &bad):
			// The error of a damaged entry says more than that of a missing one.
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
		// Later parts of the sequence end with the same entry, so they are no more complete.
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
			"a complete sequence, as the header requires a replay with LogGuid %s", h.logGUID)
	}
	return active, newest > active[len(active)-1].seq, nil
}

// sequence returns the consecutive entries at pos and their end. If an error ends the sequence, it
// is returned too.
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

// openLog replays the log in memory and returns the resulting file.
func openLog(r io.ReaderAt, size int64, h *header) (*view, error) {
	if h.logLength > maxLog {
		return nil, unsupported("a log of %d bytes at offset %d, want at most %d bytes to replay", h.logLength, h.logOffset, maxLog)
	}
	l := &ring{r: r, off: h.logOffset, length: h.logLength}
	active, newer, err := findSequence(l, h)
	if err != nil {
		return nil, err
	}
	if newer {
		h.warnings = append(h.warnings, "the log has damaged entries; only the entries before them were applied")
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

// writes returns the changes that the entries describe, in order.
func (l *ring) writes(entries []entry) ([]segment, error) {
	n := int64(0)
	for _, e := range entries {
		n += e.descs
	}
	if n > maxDescriptors {
		return nil, unsupported("%d changes in the log at offset %d, want at most %d", n, l.off, maxDescriptors)
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
				// Check again, as the file can have changed.
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
