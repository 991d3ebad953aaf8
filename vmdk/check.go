package vmdk

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/luksimg/luksimg/image"
	"github.com/luksimg/luksimg/internal/disk"
)

// A CheckResult is the result of [Disk.Check]. Its JSON form is stable, but new members can be
// added.
type CheckResult struct {
	Corruptions int64    `json:"corruptions"`        // errors that can damage data, or have damaged it
	Problems    []string `json:"problems,omitempty"` // the first 100, one sentence each

	TotalGrains      int64 `json:"total_grains"`      // grains of the sparse extents
	AllocatedGrains  int64 `json:"allocated_grains"`  // grains that are in a file
	CompressedGrains int64 `json:"compressed_grains"` // allocated grains that are compressed
}

// Check checks the metadata of all sparse extents. It reports grains outside their file, overlaps
// of grains and metadata, markers that do not fit their grains, and redundant grain tables that
// differ from the first ones. It reads no data and needs about 16 MiB of memory in addition to the
// Disk. Check returns an error only if reading fails or ctx is done; problems of the image are in
// the result. It skips extents in other files if the image was opened with [Options.MetadataOnly].
func (d *Disk) Check(ctx context.Context) (CheckResult, error) {
	c := &checker{ctx: ctx, pages: &d.pages, window: windowSectors}
	err := c.disk(d)
	return c.CheckResult, err
}

// disk checks all sparse extents.
func (c *checker) disk(d *Disk) error {
	for _, x := range d.extents {
		if x.sparse == nil {
			continue
		}
		c.x, c.s = x, x.sparse
		if err := c.extent(); err != nil {
			return x.wrap(err)
		}
	}
	return nil
}

// windowSectors is the number of sectors of a file whose use is tracked at a time.
const windowSectors = 128 << 20 // 16 MiB of bits

// A checker holds the state of one call of Check.
type checker struct {
	CheckResult
	ctx    context.Context
	pages  *disk.Pages
	x      *extent
	s      *sparse
	window int64    // size in sectors, a multiple of 64
	lo     int64    // first sector of the window
	next   int64    // first sector of the next grain past the window, or -1
	used   []uint64 // one bit per sector of the window
}

func (c *checker) corrupt(format string, args ...any) {
	c.Corruptions++
	which := ""
	if c.x.other {
		which = fmt.Sprintf("extent %s: ", quote(c.x.line.name))
	}
	disk.Note(&c.Problems, "%s"+format, append([]any{which}, args...)...)
}

// extent checks a sparse extent, one window of its file at a time. It skips windows in which no
// grain starts: two overlapping grains overlap at the start of the second. So a long file costs no
// more work.
func (c *checker) extent() error {
	s := c.s
	if s.damage != nil {
		c.corrupt("%v", s.damage)
	}
	c.TotalGrains += s.grains()
	sectors := (s.fileSize-1)/sectorSize + 1
	for c.next = 0; c.next >= 0; {
		if c.ctx.Err() != nil {
			return context.Cause(c.ctx)
		}
		c.lo, c.next = c.next, -1
		c.used = make([]uint64, (min(c.window, sectors-c.lo)+63)/64)
		for i, first := range s.directory {
			if first == 0 {
				continue
			}
			table, err := c.table(i, first)
			if err != nil {
				return err
			}
			for k := 0; k < len(table); k += 4 {
				grain := int64(i)<<s.tableBits + int64(k/4)
				if err := c.grain(grain, int64(first)*sectorSize+int64(k), binary.LittleEndian.Uint32(table[k:])); err != nil {
					return err
				}
			}
		}
	}
	if s.second {
		return c.compare()
	}
	return nil
}

// table reads the used part of the i-th table, which is at sector first. It returns nil for a table
// in a hole of the file.
func (c *checker) table(i int, first uint32) ([]byte, error) {
	if c.ctx.Err() != nil {
		return nil, context.Cause(c.ctx)
	}
	n := 4 * min(c.s.grains()-int64(i)<<c.s.tableBits, 1<<c.s.tableBits)
	if c.pages.Hole(&c.x.file, c.s.fileSize, int64(first)*sectorSize, n) {
		return nil, nil
	}
	b := make([]byte, n)
	_, err := readFull(c.s.r, b, int64(first)*sectorSize)
	return b, err
}

// grain checks the grain of the entry e at offset at of the file.
func (c *checker) grain(grain, at int64, e uint32) error {
	s, pos := c.s, grain<<c.s.grainBits
	if e == entryNone || e == entryZero && s.flags&flagZeroGrain != 0 || pos >= c.x.size {
		return nil
	}
	// The window in which a grain starts reports and counts it. No window contains a grain past the
	// end of the file.
	first := int64(e)
	sectors := (s.fileSize-1)/sectorSize + 1
	here := first >= c.lo && first < c.lo+c.window || c.lo == 0 && first >= sectors
	if here {
		c.AllocatedGrains++
		if s.compressed {
			c.CompressedGrains++
		}
	}
	if first >= c.lo+c.window && first < sectors && (c.next < 0 || first < c.next) {
		c.next = first
	}
	most := maxCompressed(1<<s.grainBits)/sectorSize + 2
	if !here && (first >= c.lo+c.window || first+most <= c.lo) {
		return nil
	}
	n, err := c.length(grain, at, e)
	var fe *image.FormatError
	switch {
	case errors.As(err, &fe):
		if here {
			c.corrupt("%v", err)
		}
		return nil
	case err != nil:
		return err
	}
	if twice := c.use(first, n); twice {
		c.corrupt("the grain for sector %d of the extent, at sector %d of the file, overlaps another grain", pos/sectorSize, first)
	}
	return nil
}

// length returns the number of sectors of a grain in the file. It checks that the grain's place is
// valid.
func (c *checker) length(grain, at int64, e uint32) (int64, error) {
	s, pos := c.s, grain<<c.s.grainBits
	raw := binary.LittleEndian.AppendUint32(nil, e)
	r, err := c.x.decode(&disk.Page{Off: at, B: raw}, at, pos, pos+1)
	if err != nil {
		return 0, err
	}
	switch {
	case !s.compressed:
		n := min(int64(1)<<s.grainBits, c.x.size-pos)
		return (n + sectorSize - 1) / sectorSize, nil
	case s.flags&flagMarkers == 0:
		return 1, nil // the length is unknown
	}
	off, size, err := c.x.compressedRange(grain, r.Host, make([]byte, grainMarker))
	if err != nil {
		return 0, err
	}
	n := (off + size - r.Host + sectorSize - 1) / sectorSize
	if what := s.inMetadata(int64(e), n); what != "" {
		return 0, fieldError(at, "grain table entry", e, "a grain of %d sectors that does not overlap %s", n, what)
	}
	return n, nil
}

// use marks n sectors from first on as used, and reports whether any was used before. It ignores
// sectors outside the window.
func (c *checker) use(first, n int64) (twice bool) {
	from := max(first-c.lo, 0)
	to := min(first+n-c.lo, int64(len(c.used))*64)
	for ; from < to; from++ {
		w, bit := &c.used[from/64], uint64(1)<<(from%64)
		twice = twice || *w&bit != 0
		*w |= bit
	}
	return twice
}

// compare compares the grain tables of both directories.
func (c *checker) compare() error {
	s := c.s
	buf := make([]byte, min(4*len(s.directory), 64<<10))
	for i := 0; i < len(s.directory); {
		b := buf[:min(len(buf), 4*(len(s.directory)-i))]
		if _, err := readFull(s.r, b, s.redundant+4*int64(i)); err != nil {
			return err
		}
		for ; len(b) > 0; b = b[4:] {
			if err := c.compareTable(i, s.directory[i], binary.LittleEndian.Uint32(b)); err != nil {
				return err
			}
			i++
		}
	}
	return nil
}

// compareTable compares the i-th tables of both directories.
func (c *checker) compareTable(i int, first, second uint32) error {
	switch {
	case first == 0 && second == 0:
		return nil
	case first == 0 || second == 0:
		c.corrupt("grain directory entry %d is %d, but the redundant one is %d", i, first, second)
		return nil
	}
	a, err := c.table(i, first)
	if err != nil {
		return err
	}
	b, err := c.table(i, second)
	if err != nil {
		return err
	}
	if !equalTables(a, b) {
		c.corrupt("the grain tables of grain directory entry %d, at sectors %d and %d of the file, differ", i, first, second)
	}
	return nil
}

// equalTables reports whether two tables are equal. A missing table counts as zeros.
func equalTables(a, b []byte) bool {
	if len(a) == len(b) {
		return bytes.Equal(a, b)
	}
	return len(bytes.Trim(a, "\x00")) == 0 && len(bytes.Trim(b, "\x00")) == 0
}
