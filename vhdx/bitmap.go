package vhdx

import (
	"math/bits"

	"github.com/luksimg/luksimg/internal/disk"
)

// bitmapOf returns the offset in the file of the sector bitmap of a block. It is a part of the
// bitmap block of the block's chunk.
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
	in := block & (1<<m.ratioShift - 1) // index in the chunk
	return int64(e&offsetMask) + in*(m.blockSize/m.logicalSector/8), nil
}

// partial returns the run at within of a partially present block, of at most n bytes. Sectors whose
// bit is set are in this file, all others in the parent (section 2.4). The lowest bit of a byte is
// its first sector. The run does not extend past the page of the bitmap.
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
	flip := byte(0) // 0xff inverts the bits if the run is set
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
