package vdi

import (
	"context"
	"errors"

	"github.com/luksimg/luksimg/image"
	"github.com/luksimg/luksimg/internal/disk"
)

// A CheckResult is the result of [Disk.Check]. Its JSON form is stable, but new members can be
// added.
type CheckResult struct {
	Corruptions int64    `json:"corruptions"`        // errors that can damage data, or have damaged it
	Problems    []string `json:"problems,omitempty"` // the first 100, one sentence each

	ImageEnd        int64 `json:"image_end_offset"` // end of the last block, in bytes
	TotalBlocks     int64 `json:"total_blocks"`     // blocks of the disk
	AllocatedBlocks int64 `json:"allocated_blocks"` // blocks of the disk that are in the file
}

func (c *CheckResult) corrupt(what string, args ...any) {
	c.Corruptions++
	disk.Note(&c.Problems, "ERROR "+what, args...)
}

// checkWindow is the number of blocks of the file whose use Check tracks at a time. One bit per
// block makes 8 MiB of memory.
const checkWindow = 64 << 20

// Check checks the whole block map: that blocks are inside the file, that they overlap neither each
// other nor the map, and that the header gives their correct number. It needs up to 8 MiB of memory
// and reads no data. Check returns an error only if reading fails or ctx is done; problems of the
// image are in the result.
func (d *Disk) Check(ctx context.Context) (CheckResult, error) {
	c := CheckResult{TotalBlocks: d.h.blocks(), ImageEnd: d.h.mapEnd()}
	room := min(max(d.fileSize-d.h.dataOff, 0)/d.h.stride()+1, entryZero)
	used := make([]uint64, (min(room, checkWindow)+63)/64)
	for lo := int64(0); lo < room; lo += checkWindow {
		clear(used)
		err := d.eachBlock(ctx, func(block int64, e uint32) error {
			bad := d.checkEntry(block, e)
			if bad != nil && !errors.Is(bad, image.ErrFormat) {
				return bad
			}
			if lo == 0 {
				c.AllocatedBlocks++
				if bad != nil {
					c.corrupt("%v", bad)
				} else {
					c.ImageEnd = max(c.ImageEnd, d.place(e)+d.h.stride())
				}
			}
			i := int64(e) - lo
			if bad != nil || i < 0 || i >= checkWindow {
				return nil
			}
			if used[i/64]&(1<<(i%64)) != 0 {
				c.corrupt("block %d of the disk uses block %d of the file, which another block also uses", block, e)
			}
			used[i/64] |= 1 << (i % 64)
			return nil
		})
		if err != nil {
			return c, err
		}
	}
	if d.h.allocated != c.AllocatedBlocks {
		c.corrupt("cBlocksAllocated at offset %d is %d, but %d blocks are in the file", offAllocated, d.h.allocated, c.AllocatedBlocks)
	}
	return c, nil
}
