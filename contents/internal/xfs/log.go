package xfs

// Fields of a log record header ("Journaling Log": xlog_rec_header), and of the first operation
// after it.
const (
	sector        = 512
	recordMagic   = 0xfeedbabe
	offCycle      = 4
	offNumOps     = 40
	offRecordSize = 320
	opFlags       = 9
	flagUnmount   = 0x20
	perHeader     = 32 << 10 // bytes of a record per header sector
	lookBack      = 600      // sectors: a record has at most 256 KiB
)

// dirty reports whether the log ends with anything but an unmount record. It returns false if that
// cannot be determined.
func (f *FS) dirty() bool {
	if f.logStart == 0 || f.logBlocks == 0 {
		return false
	}
	start, err := f.at(f.logStart)
	if err != nil {
		return false
	}
	sectors := int64(f.logBlocks) << f.blockLog / sector
	if start > f.r.Size() || sectors > (f.r.Size()-start)/sector {
		return false
	}
	b := make([]byte, sector)
	// cycle returns the number of the pass over the log in which sector n was written: the first
	// word of the sector, or the second word of a header.
	cycle := func(n int64) (uint32, bool) {
		if err := f.r.Read(b, start+n*sector); err != nil {
			return 0, false
		}
		if c := be.Uint32(b); c != recordMagic {
			return c, true
		}
		return be.Uint32(b[offCycle:]), true
	}
	first, ok := cycle(0)
	if !ok || first == 0 {
		return false
	}
	// The head is where the cycle decreases: the sectors before it have the first sector's cycle.
	lo, hi := int64(0), sectors
	for hi-lo > 1 {
		middle := lo + (hi-lo)/2
		c, ok := cycle(middle)
		if !ok {
			return false
		}
		if c == first {
			lo = middle
		} else {
			hi = middle
		}
	}
	for n := hi - 1; n >= 0 && hi-n <= lookBack; n-- {
		if err := f.r.Read(b, start+n*sector); err != nil {
			return false
		}
		if be.Uint32(b) != recordMagic {
			continue
		}
		if be.Uint32(b[offNumOps:]) != 1 {
			return true
		}
		// A record has a header sector per 32 KiB of its maximum size. A record that wraps has them
		// at the start of the log.
		headers := max(int64(be.Uint32(b[offRecordSize:]))/perHeader, 1)
		if err := f.r.Read(b, start+(n+headers)%sectors*sector); err != nil {
			return false
		}
		return b[opFlags]&flagUnmount == 0
	}
	return false
}
