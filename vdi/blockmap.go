package vdi

import (
	"context"
	"slices"

	"github.com/luksimg/luksimg/internal/disk"
)

// Entries of the block map that are not block numbers.
const (
	entryFree = 0xffffffff // VDI_IMAGE_BLOCK_FREE: never written
	entryZero = 0xfffffffe // VDI_IMAGE_BLOCK_ZERO: zeros, or discarded

	entrySize = 4
)

const (
	pageSize = 4096

	// maxChecked is the maximum size in bytes of a block map that Open checks whole. It is enough
	// for 2 TiB in blocks of 1 MiB.
	maxChecked = 8 << 20
)

// entry returns an entry of the block map.
func (d *Disk) entry(block int64) (uint32, error) {
	at := d.entryAt(block)
	p, err := d.pages.Page(&d.file, d.fileSize, at&^(entrySize-1))
	if err != nil {
		return 0, err
	}
	if n := at - p.Off; n+entrySize <= int64(len(p.B)) {
		return get32(p.B, int(n)), nil
	}
	// In a map that is not aligned to 4 bytes, an entry can span two pages.
	var b [entrySize]byte
	if _, err := readFull(d.file.R, b[:], at); err != nil {
		return 0, err
	}
	return get32(b[:], 0), nil
}

// entryAt returns the offset of an entry in the file.
func (d *Disk) entryAt(block int64) int64 { return d.h.mapOff + block*entrySize }

// locate returns the run at pos, which ends at end or before, and within one page of the block map.
func (d *Disk) locate(pos, end int64) (disk.Run, error) {
	block := pos >> d.h.blockShift
	r, err := d.decode(block, pos, end)
	perPage := int64(pageSize / entrySize)
	for i := int64(1); err == nil && i < perPage && pos+r.N < end; i++ {
		more, err := d.decode(block+i, pos+r.N, end)
		if err != nil || !r.Joins(more) {
			break
		}
		r.N += more.N
	}
	return r, err
}

// decode returns the run at pos that one entry describes.
func (d *Disk) decode(block, pos, end int64) (disk.Run, error) {
	r := disk.Run{Kind: disk.Hole, N: min((block+1)<<d.h.blockShift, end) - pos}
	e, err := d.entry(block)
	if err != nil || !isBlock(e) {
		return r, err
	}
	if err := d.checkEntry(block, e); err != nil {
		return r, err
	}
	r.Kind, r.File = disk.Data, &d.file
	r.Host = d.place(e) + d.h.extra + pos - block<<d.h.blockShift
	return r, nil
}

// isBlock reports whether an entry is the number of a block of the file.
func isBlock(e uint32) bool { return e < entryZero }

// place returns the offset of block e of the file.
func (d *Disk) place(e uint32) int64 { return d.h.dataOff + int64(e)*d.h.stride() }

// checkEntry checks one entry. Of the last block, only the part that belongs to the disk must be in
// the file.
func (d *Disk) checkEntry(block int64, e uint32) error {
	h := d.h
	fail := func(want string, args ...any) error {
		return fieldError(d.entryAt(block), "block map entry", e, want, args...)
	}
	start := d.place(e)
	end := start + h.extra + min(h.blockSize, h.size-block<<h.blockShift)
	switch {
	case end > d.fileSize:
		return fail("a block inside the file of %d bytes, but it is at %d to %d", d.fileSize, start, end)
	case start < h.mapEnd() && h.mapOff < end:
		return fail("a block that does not overlap the block map at %d to %d", h.mapOff, h.mapEnd())
	}
	return nil
}

// eachBlock calls visit for the allocated blocks of the disk. It checks ctx from time to time.
func (d *Disk) eachBlock(ctx context.Context, visit func(block int64, e uint32) error) error {
	for block := range d.h.blocks() {
		if block%4096 == 0 && ctx.Err() != nil {
			return context.Cause(ctx)
		}
		e, err := d.entry(block)
		if err == nil && isBlock(e) {
			err = visit(block, e)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// checkMap checks all entries, and that no two refer to the same block of the file.
func (d *Disk) checkMap() error {
	var used []uint32
	err := d.eachBlock(context.Background(), func(block int64, e uint32) error {
		used = append(used, e)
		return d.checkEntry(block, e)
	})
	if err != nil {
		return err
	}
	slices.Sort(used)
	for i := 1; i < len(used); i++ {
		if used[i] != used[i-1] {
			continue
		}
		seen := false
		return d.eachBlock(context.Background(), func(block int64, e uint32) error {
			if e == used[i] && seen {
				return fieldError(d.entryAt(block), "block map entry", e, "a block of the file that no other entry uses")
			}
			seen = seen || e == used[i]
			return nil
		})
	}
	return nil
}
