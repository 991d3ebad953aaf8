package vhd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/bits"

	"github.com/luksimg/luksimg/image"
	"github.com/luksimg/luksimg/internal/disk"
)

// A CheckResult is the result of [Disk.Check]. Its JSON form is stable, but new members can be
// added.
type CheckResult struct {
	Corruptions int64    `json:"corruptions"`        // errors that can damage data, or have damaged it
	Leaks       int64    `json:"leaks"`              // bytes of the file that no structure uses
	Padding     int64    `json:"padding"`            // further unused bytes, in the gaps below 4 KiB that writers leave to align data
	Problems    []string `json:"problems,omitempty"` // the first 100, one sentence each

	ImageEnd         int64 `json:"image_end_offset"`  // end of the last structure, in bytes
	TotalBlocks      int64 `json:"total_blocks"`      // blocks of the disk; 0 for a fixed disk
	AllocatedBlocks  int64 `json:"allocated_blocks"`  // blocks of the disk that are in the file
	FragmentedBlocks int64 `json:"fragmented_blocks"` // allocated blocks that do not follow the previous one
}

// Check checks the file of the disk; see [CheckFile].
func (d *Disk) Check(ctx context.Context) (CheckResult, error) {
	return CheckFile(ctx, d.file.R, d.fileSize)
}

// CheckFile checks the VHD of size bytes in r. It reports damaged structures, a footer copy that
// differs from the footer, blocks outside the file, overlaps of blocks and metadata, a batmap that
// contradicts the bitmaps, and unused space. It continues where [Open] refuses the file, as far as
// the structures it needs are there. It does not check the parent of a differencing disk.
//
// It reads all metadata and no data; it reads bitmaps only of blocks that the batmap marks as full.
// Its memory is at most 8 bytes per block. It returns an error if reading fails, if ctx is done, or
// with image.ErrUnsupported if the disk has more than 8388608 blocks. Problems of the disk are in
// the result.
func CheckFile(ctx context.Context, r io.ReaderAt, size int64) (CheckResult, error) {
	c := &checker{ctx: ctx, r: r, size: size}
	err := c.run()
	return c.CheckResult, err
}

// A checker holds the state of one call of CheckFile.
type checker struct {
	CheckResult
	ctx  context.Context
	r    io.ReaderAt
	size int64

	f       *footer
	h       *header
	disk    *Disk // reads bitmaps
	regions []region
}

func (c *checker) corrupt(format string, args ...any) {
	c.Corruptions++
	c.note("ERROR "+format, args...)
}

// more counts a corruption and reports whether to describe it with note. There can be one per
// block.
func (c *checker) more() bool {
	c.Corruptions++
	return disk.Describing(c.Problems)
}

func (c *checker) note(format string, args ...any) { disk.Note(&c.Problems, format, args...) }

// bad records a format error. It returns any other error, which ends the check.
func (c *checker) bad(err error) error {
	if err != nil && !errors.Is(err, image.ErrFormat) {
		return err
	}
	if err != nil {
		c.corrupt("%v", err)
	}
	return nil
}

func (c *checker) active() error {
	if c.ctx.Err() != nil {
		return context.Cause(c.ctx)
	}
	return nil
}

func (c *checker) run() error {
	if err := c.active(); err != nil {
		return err
	}
	f, err := findFooter(c.r, c.size)
	if err != nil {
		if err := c.bad(err); err != nil {
			return err
		}
		if f, err = c.damagedFooter(); f == nil || err != nil {
			return err
		}
	} else if f.isCopy {
		c.corrupt("the footer at the end of the file is missing or damaged")
	}
	c.f = f
	if err := c.bad(f.check()); err != nil {
		return err
	}
	virtual, err := f.virtualSize(false)
	if err := c.bad(err); err != nil {
		return err
	}
	if f.diskType == typeFixed {
		c.fixed(virtual)
		return nil
	}
	return c.dynamic(virtual)
}

// damagedFooter returns a footer with a valid cookie but a wrong checksum, or nil.
func (c *checker) damagedFooter() (*footer, error) {
	if c.size < footerSize {
		return nil, nil
	}
	for _, off := range []int64{c.size - footerSize, 0} {
		var raw [footerSize]byte
		if _, err := readFull(c.r, raw[:], off); err != nil {
			return nil, err
		}
		if string(raw[:8]) == footerCookie {
			f := parseFooter(&raw, off)
			f.limit = off
			if off == 0 {
				f.isCopy, f.limit = true, c.size
			}
			return f, nil
		}
	}
	return nil, nil
}

func (c *checker) fixed(virtual int64) {
	f := c.f
	switch {
	case f.isCopy:
		c.corrupt("a fixed disk has no footer at the start of the file: the file is truncated")
		return
	case virtual > f.off:
		c.corrupt("the disk has %d bytes, but the file has only %d in front of its footer", virtual, f.off)
	}
	c.ImageEnd = c.size
	if gap := f.off - virtual; gap > 0 {
		c.leak(virtual, f.off)
	}
}

// leak counts unused bytes.
func (c *checker) leak(start, end int64) {
	const align = 4096
	if end-start < align {
		c.Padding += end - start
		return
	}
	c.Leaks += end - start
	c.note("Leaked bytes %d to %d: no structure uses them", start, end)
}

func (c *checker) dynamic(virtual int64) error {
	f := c.f
	c.use(0, footerSize, "the footer copy")
	if !f.isCopy {
		var raw [footerSize]byte
		if _, err := readFull(c.r, raw[:], 0); err != nil {
			return err
		}
		if text := compareFooters(&raw, f); text != "" {
			c.corrupt("%s", text)
		}
	}
	h, err := readHeader(c.r, f)
	if err := c.bad(err); h == nil || err != nil {
		return err
	}
	if err := c.bad(h.checkSeal()); err != nil {
		return err
	}
	if err := h.checkLayout(f); err != nil {
		return c.bad(err)
	}
	c.h = h
	c.use(h.off, h.off+headerSize, "the dynamic disk header")
	c.use(h.table, min((h.tableEnd()+sectorSize-1)/sectorSize*sectorSize, h.limit), "the block allocation table")
	if f.diskType == typeDifferencing {
		for i, l := range h.locators() {
			// Locators that Open ignores need not be valid.
			if err := h.checkLocator(i, l); err != nil || l.length == 0 {
				if l.read() {
					c.corrupt("%v", err)
				}
				continue
			}
			room := min(l.room(), h.limit-int64(l.offset))
			c.use(int64(l.offset), int64(l.offset)+room, fmt.Sprintf("parent locator %d (%s)", i, l.code))
		}
	}
	if !f.isCopy {
		c.use(f.limit, c.size, "the footer")
	}
	return c.table(virtual)
}

// use records a region of the file that metadata occupies.
func (c *checker) use(start, end int64, name string) {
	for _, o := range c.regions {
		if o.overlaps(start, end) {
			c.corrupt("%s at byte %d overlaps %s at byte %d", name, start, o.name, o.start)
		}
	}
	c.regions = append(c.regions, region{start, end, name})
	c.ImageEnd = max(c.ImageEnd, end)
}

// table reads the block allocation table and checks its blocks.
func (c *checker) table(virtual int64) error {
	h := c.h
	need := virtual / h.blockSize
	if virtual%h.blockSize != 0 {
		need++
	}
	c.TotalBlocks = need
	if need > h.entries {
		c.corrupt("the block allocation table has %d entries, but the disk needs %d", h.entries, need)
	}
	entries := h.entries
	if entries > maxBlocks {
		// Entries past the end of the disk should be absent.
		if entries = need; entries > maxBlocks {
			return fmt.Errorf("vhd: the disk has %d blocks, more than the limit of %d: %w", need, maxBlocks, image.ErrUnsupported)
		}
	}
	whole := *h
	whole.entries = entries
	bat, err := readTable(c.r, &whole, entries*h.blockSize)
	if err != nil {
		return c.bad(err)
	}
	starts, err := c.blocks(bat, need)
	if err != nil {
		return err
	}
	if err := c.batmap(bat); err != nil {
		return err
	}
	return c.space(bat, starts)
}

// blocks checks each block and returns the start sectors of those inside the file.
func (c *checker) blocks(bat []uint32, need int64) ([]uint32, error) {
	h := c.h
	// If there are more blocks than fit in the file, these already contain overlaps to report.
	starts := make([]uint32, 0, min(int64(len(bat)), 2*(c.size/h.blockSpan())+1))
	previous := int64(-1)
	for i, entry := range bat {
		if i&0xffff == 0 {
			if err := c.active(); err != nil {
				return nil, err
			}
		}
		if entry == absent {
			continue
		}
		start := int64(entry) * sectorSize
		end := start + h.blockSpan()
		at := h.table + 4*int64(i)
		if int64(i) >= need {
			if c.more() {
				c.note("ERROR block allocation table entry %d at offset %d is %d: the entry is past the end of the disk", i, at, entry)
			}
		} else {
			c.AllocatedBlocks++
			if previous >= 0 && start-previous >= h.blockSpan()+4096 || start < previous {
				c.FragmentedBlocks++
			}
			previous = start
		}
		if end > h.limit {
			if c.more() {
				c.note("ERROR block allocation table entry %d at offset %d is %d: the block would end at byte %d, past %d, %s",
					i, at, entry, end, h.limit, limitName(h.footerEnd))
			}
			bat[i] = absent // its bitmap cannot be read
			continue
		}
		for _, r := range c.regions {
			if !r.overlaps(start, end) {
				continue
			}
			if c.more() {
				c.note("ERROR block allocation table entry %d at offset %d is %d: the block overlaps %s at byte %d", i, at, entry, r.name, r.start)
			}
			break
		}
		c.ImageEnd = max(c.ImageEnd, end)
		if len(starts) < cap(starts) {
			starts = append(starts, entry)
		}
	}
	return starts, nil
}

// batmap checks the batmap, if any, and compares it with the bitmaps.
func (c *checker) batmap(bat []uint32) error {
	h := c.h
	b, err := findBatmap(c.r, h, bat)
	if b == nil || err != nil {
		return err
	}
	c.use(b.off, b.off+sectorSize, "the batmap header")
	if _, err := b.key(); err != nil {
		c.corrupt("%v", err)
	}
	if err := b.check(c.r, h, bat); err != nil {
		var fe *image.FormatError
		if !errors.As(err, &fe) {
			return err
		}
		c.corrupt("%v", err)
		if fe.Offset != b.off+offBatmapSum {
			return nil // the header gives no valid map
		}
	}
	c.use(int64(b.offset), int64(b.offset)+int64(b.sectors)*sectorSize, "the batmap")
	if c.AllocatedBlocks > c.size/h.blockSpan() {
		return nil // overlapping blocks can have far more bitmap bytes than the file
	}
	c.disk = &Disk{
		disk:       disk.Disk{Format: "vhd", Size: int64(len(bat)) * h.blockSize},
		file:       disk.File{R: c.r},
		fileSize:   c.size,
		bitmaps:    disk.Pages{Format: "vhd", Size: chunkSize},
		bat:        bat,
		blockSize:  h.blockSize,
		blockShift: uint(bits.TrailingZeros64(uint64(h.blockSize))),
		bitmapSize: h.bitmapSize(),
		lsbFirst:   c.f.lsbBitmaps(),
	}
	return b.chunks(c.r, func(at int64, p []byte) error {
		if err := c.active(); err != nil {
			return err
		}
		for i, v := range p {
			for ; v != 0; v &= v - 1 {
				block := (at+int64(i))*8 + int64(bits.LeadingZeros8(v&-v))
				if err := c.fullBlock(bat, block); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

// fullBlock checks a block that the batmap marks as full.
func (c *checker) fullBlock(bat []uint32, block int64) error {
	switch {
	case block >= int64(len(bat)):
		if c.more() {
			c.note("ERROR the batmap marks block %d as full, but there is no such block", block)
		}
		return nil
	case bat[block] == absent:
		if c.more() {
			c.note("ERROR the batmap marks block %d as full, but it is not in the file", block)
		}
		return nil
	}
	state, err := c.disk.classify(int(block))
	if err == nil && state != stateFull && c.more() {
		c.note("ERROR the batmap marks block %d as full, but bits in its bitmap are clear", block)
	}
	return err
}
