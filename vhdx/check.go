package vhdx

import (
	"context"
	"errors"

	"github.com/luksimg/luksimg/image"
	"github.com/luksimg/luksimg/internal/disk"
)

// checkWindow is the part of the file, in MiB, whose use Check tracks at a time. One bit per MiB
// makes 8 MiB of memory.
const checkWindow = 64 << 20

// A CheckResult is the result of [Disk.Check]. Its JSON form is stable, but new members can be
// added.
type CheckResult struct {
	Corruptions int64    `json:"corruptions"`        // errors that can damage data, or have damaged it
	Problems    []string `json:"problems,omitempty"` // the first 100, one sentence each

	ImageEnd        int64 `json:"image_end_offset"` // end of the last block or region, in bytes
	TotalBlocks     int64 `json:"total_blocks"`     // blocks of the disk
	AllocatedBlocks int64 `json:"allocated_blocks"` // blocks of the disk that are in the file
	BitmapBlocks    int64 `json:"bitmap_blocks"`    // sector bitmap blocks of a differencing disk
}

func (c *CheckResult) corrupt(format string, args ...any) {
	c.Corruptions++
	disk.Note(&c.Problems, "ERROR "+format, args...)
}

// Check checks the whole block allocation table: that blocks are inside the file, that they overlap
// neither each other nor anything else, and that their states are valid. It needs about 8 MiB of
// memory and reads no data. [Open] has checked all other metadata, and a table of at most 8 MiB.
// Check returns an error only if reading fails or ctx is done; problems of the image are in the
// result.
func (d *Disk) Check(ctx context.Context) (CheckResult, error) {
	c := CheckResult{TotalBlocks: d.m.blocks()}
	for _, s := range d.regions.used {
		c.ImageEnd = max(c.ImageEnd, s.end())
	}
	room := d.fileSize/mib + 1
	used := make([]uint64, (min(room, checkWindow)+63)/64)
	for lo := int64(0); lo < room; {
		next := room
		clear(used)
		err := d.eachEntry(ctx, func(index int64, e uint64) error {
			n, err := d.checkOne(index, e)
			switch {
			case errors.Is(err, image.ErrFormat):
				if lo == 0 {
					c.corrupt("%v", err)
				}
				return nil
			case err != nil || n == 0:
				return err
			}
			off := int64(e & offsetMask)
			if lo == 0 {
				c.ImageEnd = max(c.ImageEnd, off+n)
				if d.m.isBitmap(index) {
					c.BitmapBlocks++
				} else {
					c.AllocatedBlocks++
				}
			}
			overlap := false
			for k := max(off/mib, lo); k < (off+n+mib-1)/mib; k++ {
				if k >= lo+checkWindow {
					next = min(next, k)
					break
				}
				bit := uint64(1) << ((k - lo) % 64)
				overlap = overlap || used[(k-lo)/64]&bit != 0
				used[(k-lo)/64] |= bit
			}
			if overlap {
				c.corrupt("the block of entry %d at offset %d of the file overlaps another block", index, off)
			}
			return nil
		})
		if err != nil {
			return c, err
		}
		lo = next
	}
	return c, nil
}

// checkOne is checkEntry with the conditions that involve other entries.
func (d *Disk) checkOne(index int64, e uint64) (int64, error) {
	if d.m.isBitmap(index) && !d.m.hasParent && e&stateMask != stateNotPresent {
		return 0, d.entryError(index, e, "state 0, as the disk has no parent")
	}
	n, err := d.checkEntry(index, e)
	if err == nil && n > 0 && !d.m.isBitmap(index) && e&stateMask == statePartial {
		_, err = d.bitmapOf(d.m.blockAt(index))
	}
	return n, err
}
