package vhdx

import (
	"math/bits"

	"github.com/luksimg/luksimg/internal/disk"
)

// bitmapOf returns where in the file the sector bitmap of a block starts, which is a
// part of the bitmap block of its chunk.
func (d *Disk) bitmapOf(block int64) (int64, error) {
	m := d.m
	index := m.bitmapIndex(block >> m.ratioShift)
	e, err := d.entry(index)
	if err != nil {
		return 0, err
	}
	n, err := d.checkEntry(index, e)
	if err != nil {
		return 0, err
	}
	if n == 0 {
		return 0, d.entryError(index, e, "state 6, as block %d is partially present", block)
	}
	in := block & (1<<m.ratioShift - 1) // the chunk
	return int64(e&offsetMask) + in*(m.blockSize/m.logicalSector/8), nil
}

// partial returns the run at within of a block, of n bytes at most, of which the
// sectors whose bit is set are in this file and others in the parent (section 2.4).
// The lowest bit of a byte is its first sector. The run ends where the page of the
// bitmap does at the latest.
func (d *Disk) partial(block, within, host, n int64) (disk.Run, error) {
	bitmap, err := d.bitmapOf(block)
	if err != nil {
		return disk.Run{}, err
	}
	size := d.m.logicalSector
	first := within / size
	last := (within + n - 1) / size
	p, err := d.page(bitmap + first/8)
	if err != nil {
		return disk.Run{}, err
	}
	b := p.B[bitmap+first/8-p.Off:]
	set := b[0]>>(first%8)&1 != 0
	flip := byte(0) // makes the run one of clear bits
	if set {
		flip = 0xff
	}
	s := first - first%8
	if rest := (b[0] ^ flip) >> (first % 8); rest != 0 {
		s = first + int64(bits.TrailingZeros8(rest))
	} else {
		for s += 8; s <= last && (s-first+first%8)/8 < int64(len(b)); s += 8 {
			if v := b[(s-first+first%8)/8] ^ flip; v != 0 {
				s += int64(bits.TrailingZeros8(v))
				break
			}
		}
	}
	r := disk.Run{N: min(s*size-within, n)}
	if set {
		r.Kind, r.File, r.Host = disk.Data, &d.file, host+within
	}
	return r, nil
}
