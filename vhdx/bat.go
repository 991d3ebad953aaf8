package vhdx

import (
	"cmp"
	"context"
	"encoding/binary"
	"fmt"
	"slices"
	"sync/atomic"

	"github.com/luksimg/luksimg/internal/disk"
)

// The states of a block (section 2.5.1).
const (
	stateNotPresent = 0
	stateUndefined  = 1
	stateZero       = 2
	stateUnmapped   = 3
	statePresent    = 6
	statePartial    = 7

	stateMask    = 7
	reservedMask = 0xffff8
	// The bits from 20 on are an offset in MiB. Masking the lower bits gives the offset in bytes.
	offsetMask = ^uint64(mib - 1)
)

const (
	// The table and sector bitmaps are cached in pages of this many bytes.
	pageSize    = 8 << 10
	pageEntries = pageSize / 8

	// maxChecked is the maximum size of a table that Open reads and checks whole. It is enough for
	// 2 TiB in blocks of 2 MiB, or 32 TiB in blocks of 32 MiB.
	maxChecked = 8 << 20
)

// A table is the block allocation table.
type table struct {
	span
	entries int64 // number of entries that the disk needs

	empty []atomic.Uint32 // one bit per page of the table, set if the page is known to be all zeros
}

// index returns the index of the entry of a payload block. The entries of each chunk are followed
// by one for its sector bitmap (section 2.5).
func (m *metadata) index(block int64) int64 { return block + block>>m.ratioShift }

// bitmapIndex returns the index of the entry of a chunk's sector bitmap.
func (m *metadata) bitmapIndex(chunk int64) int64 {
	return chunk<<m.ratioShift + chunk + 1<<m.ratioShift
}

// blockAt returns the payload block of an entry. For the entry of a sector bitmap, it returns the
// next payload block.
func (m *metadata) blockAt(index int64) int64 {
	per := int64(1)<<m.ratioShift + 1
	return index/per<<m.ratioShift + min(index%per, per-1)
}

// isBitmap reports whether an entry is for a sector bitmap.
func (m *metadata) isBitmap(index int64) bool {
	per := int64(1)<<m.ratioShift + 1
	return index%per == per-1
}

// openTable checks that the table has enough entries for the disk.
func (d *Disk) openTable() error {
	m := d.m
	if n := m.blocks(); n > 0 {
		d.bat.entries = m.index(n-1) + 1
		if m.hasParent {
			d.bat.entries = m.bitmapIndex((n-1)>>m.ratioShift) + 1
		}
	}
	d.bat.span = d.regions.bat
	if d.bat.entries > d.bat.length/8 {
		return fieldError(d.bat.off, "block allocation table length", d.bat.length,
			"at least %d bytes, as the disk has %d bytes in blocks of %d", d.bat.entries*8, m.size, m.blockSize)
	}
	pages := (d.bat.entries + pageEntries - 1) / pageEntries
	d.bat.empty = make([]atomic.Uint32, (pages+31)/32)
	if d.bat.entries*8 > maxChecked {
		return nil
	}
	return d.checkTable()
}

// page returns the page of the file that contains off.
func (d *Disk) page(off int64) (*disk.Page, error) { return d.pages.Page(&d.file, d.fileSize, off) }

// isEmpty reports whether the page of the table with this entry is all zeros.
func (d *Disk) isEmpty(index int64) (bool, error) {
	n := index / pageEntries
	word, bit := &d.bat.empty[n/32], uint32(1)<<(n%32)
	if word.Load()&bit != 0 {
		return true, nil
	}
	p, err := d.page(d.bat.off + n*pageSize)
	if err != nil || !p.Zero {
		return false, err
	}
	word.Or(bit)
	return true, nil
}

// entry returns entry index of the table.
func (d *Disk) entry(index int64) (uint64, error) {
	at := d.bat.off + index*8
	p, err := d.page(at)
	if err != nil {
		return 0, err
	}
	return binary.LittleEndian.Uint64(p.B[at-p.Off:]), nil
}

// entryError returns an error for an entry of the table.
func (d *Disk) entryError(index int64, e uint64, want string, args ...any) error {
	what := "payload"
	if d.m.isBitmap(index) {
		what = "sector bitmap"
	}
	return fieldError(d.bat.off+index*8, fmt.Sprintf("block allocation table entry %d (%s block)", index, what),
		fmt.Sprintf("%#x, state %d", e, e&stateMask), want, args...)
}

// blockLen returns the number of bytes of a block that belong to the disk.
func (d *Disk) blockLen(block int64) int64 {
	return min(d.m.blockSize, d.m.size-block<<d.m.blockShift)
}

// checkEntry checks one entry and returns the number of bytes of the file that it uses. A bitmap
// must lie whole in the file. Of the last block, only the part that belongs to the disk must.
// Entries of bitmaps are ignored in a disk without a parent.
func (d *Disk) checkEntry(index int64, e uint64) (int64, error) {
	n := int64(bitmapBlockSize)
	if d.m.isBitmap(index) {
		switch state := e & stateMask; {
		case !d.m.hasParent || state == stateNotPresent:
			return 0, nil
		case state != statePresent:
			return 0, d.entryError(index, e, "state 0 or 6")
		}
	} else {
		switch e & stateMask {
		case stateNotPresent, stateUndefined, stateZero, stateUnmapped:
			return 0, nil
		case statePresent:
		case statePartial:
			if !d.m.hasParent {
				return 0, d.entryError(index, e, "another state than partially present, as the disk has no parent")
			}
		default:
			return 0, d.entryError(index, e, "state 0, 1, 2, 3, 6 or 7")
		}
		n = d.blockLen(d.m.blockAt(index))
	}
	off := clampInt64(e & offsetMask)
	if e&reservedMask != 0 {
		return 0, d.entryError(index, e, "bits 3 to 19 clear")
	}
	if n > d.fileSize || off > d.fileSize-n {
		return 0, d.entryError(index, e, "a block inside the file of %d bytes, but it is at %d to %d", d.fileSize, off, uint64(off)+uint64(n))
	}
	if s, ok := d.regions.overlaps(off, n); ok {
		return 0, d.entryError(index, e, "a block that does not overlap %s at %d to %d", s.what, s.off, s.end())
	}
	return n, nil
}

// keepsPlace reports whether a block without data is still allocated in the file, as the blocks of
// a fixed disk are.
func (d *Disk) keepsPlace(block int64, e uint64) bool {
	off := clampInt64(e & offsetMask)
	switch e & stateMask {
	case stateUndefined, stateZero, stateUnmapped:
		return off >= headerEnd && off <= d.fileSize-d.blockLen(block)
	}
	return false
}

// eachEntry calls visit for the entries of the table, except those in pages of zeros. It checks ctx
// once per page.
func (d *Disk) eachEntry(ctx context.Context, visit func(index int64, e uint64) error) error {
	for i := int64(0); i < d.bat.entries; {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		end := min((i/pageEntries+1)*pageEntries, d.bat.entries)
		empty, err := d.isEmpty(i)
		if err != nil {
			return err
		}
		for ; !empty && i < end; i++ {
			e, err := d.entry(i)
			if err == nil {
				err = visit(i, e)
			}
			if err != nil {
				return err
			}
		}
		i = end
	}
	return nil
}

// checkTable checks each entry. It also checks that no two blocks overlap, and that partially
// present blocks have a sector bitmap.
func (d *Disk) checkTable() error {
	// Compare offset and length of blocks in MiB. If there are more blocks than fit in the file,
	// some of the first ones overlap. That bounds the memory by the size of the file.
	type block struct{ off, n, index int32 }
	blocks := make([]block, 0, min(d.bat.entries, d.fileSize/mib+2))
	err := d.eachEntry(context.Background(), func(index int64, e uint64) error {
		n, err := d.checkEntry(index, e)
		if err != nil || n == 0 {
			return err
		}
		if !d.m.isBitmap(index) && e&stateMask == statePartial {
			if _, err := d.bitmapOf(d.m.blockAt(index)); err != nil {
				return err
			}
		}
		// Ignore blocks past 2^31 MiB: no real file is that long.
		if off := int64(e&offsetMask) / mib; off < 1<<31-1 && len(blocks) < cap(blocks) {
			blocks = append(blocks, block{int32(off), int32((n + mib - 1) / mib), int32(index)})
		}
		return nil
	})
	if err != nil {
		return err
	}
	slices.SortFunc(blocks, func(a, b block) int {
		return cmp.Or(cmp.Compare(a.off, b.off), cmp.Compare(a.index, b.index))
	})
	for i := 1; i < len(blocks); i++ {
		a, b := blocks[i-1], blocks[i]
		if int64(b.off) < int64(a.off)+int64(a.n) {
			e, err := d.entry(int64(b.index))
			if err != nil {
				return err
			}
			return d.entryError(int64(b.index), e, "a block that does not overlap the block of entry %d at %d MiB", a.index, a.off)
		}
	}
	return nil
}
