package xfs

// Fields of the header of a record in the log ("Journaling Log": xlog_rec_header), and
// of the first operation behind it.
const (
	sector        = 512
	recordMagic   = 0xfeedbabe
	offCycle      = 4
	offNumOps     = 40
	offRecordSize = 320
	opFlags       = 9
	flagUnmount   = 0x20
	perHeader     = 32 << 10 // bytes of a record
	lookBack      = 600      // sectors: a record has at most 256 KiB
)

// dirty reports whether the log in the filesystem ends with anything but the record of
// an unmount. Where that cannot be told it is false.
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
	// cycle returns how often the log was written round when a sector of it was: the
	// first word, or the second of a header.
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
	// The head is where the cycle falls: sectors before it have the first one.
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
		// One sector of header for each 32 KiB of a record's largest size; those of a
		// record that goes on at the start of the log are there.
		headers := max(int64(be.Uint32(b[offRecordSize:]))/perHeader, 1)
		if err := f.r.Read(b, start+(n+headers)%sectors*sector); err != nil {
			return false
		}
		return b[opFlags]&flagUnmount == 0
	}
	return false
}
