package vhd

import (
	"math/bits"
	"sync"
)

// The bitmap of a block, one bit per sector, precedes its data (section "Data Block"). A clear bit
// marks a sector that was never written, whatever its bytes are. It reads as zeros in a dynamic
// disk, and as the sector of the parent in a differencing disk.
//
// Nearly all bitmaps are all ones. So a bitmap is read and classified once, on the first use of its
// block, and two bits per block store the result. Only a block with both kinds of sectors has its
// bitmap read again.

// The states of a block. If the file changes, two readers can see different bitmaps. The state is
// then the union of their bits, which is the cautious one.
const (
	stateUnknown = 0
	stateFull    = 1 // all sectors are in the block
	stateEmpty   = 2 // no sector is in the block
	stateMixed   = 3

	statesPerWord = 16
)

// chunkSize is the number of bytes of a bitmap that are classified at a time.
const chunkSize = 4096

var chunks = sync.Pool{New: func() any { return new([chunkSize]byte) }}

// state returns the state of an allocated block.
func (d *Disk) state(block int) (uint32, error) {
	if d.states == nil {
		return stateFull, nil
	}
	word, shift := &d.states[block/statesPerWord], uint(block%statesPerWord)*2
	if s := word.Load() >> shift & 3; s != stateUnknown {
		return s, nil
	}
	s, err := d.classify(block)
	if err != nil {
		return stateUnknown, err
	}
	word.Or(s << shift)
	return s, nil
}

// classify reads the bitmap of a block. Bits past the end of the disk are ignored.
func (d *Disk) classify(block int) (uint32, error) {
	var seen uint32
	end := d.blockLen(block) / sectorSize
	for s := int64(0); s < end && seen != stateMixed; {
		m, err := d.readBits(block, s, end)
		if err != nil {
			return stateUnknown, err
		}
		for s < m.end && seen != stateMixed {
			next, set := m.run(s)
			if set {
				seen |= stateFull
			} else {
				seen |= stateEmpty
			}
			s = next
		}
	}
	return seen, nil
}

// blockLen returns the number of bytes of a block that belong to the disk.
func (d *Disk) blockLen(block int) int64 {
	return min(d.blockSize, d.disk.Size-int64(block)<<d.blockShift)
}

// bitmapOffset and dataOffset return the offsets of an allocated block in the file.
func (d *Disk) bitmapOffset(block int) int64 { return int64(d.bat[block]) * sectorSize }
func (d *Disk) dataOffset(block int) int64   { return d.bitmapOffset(block) + d.bitmapSize }

// sectorBits holds a part of the bitmap of a block: the bits of the sectors from first, a multiple
// of 8, to end.
type sectorBits struct {
	b          []byte
	first, end int64
	lsbFirst   bool // the lowest bit of a byte is its first sector, instead of the highest
}

// at returns byte i with its first sector in the highest bit.
func (m sectorBits) at(i int64) byte {
	if m.lsbFirst {
		return bits.Reverse8(m.b[i])
	}
	return m.b[i]
}

// readBits returns the bits of the sectors of a block from start to end, or to the end of the page
// in the file.
func (d *Disk) readBits(block int, start, end int64) (sectorBits, error) {
	off := d.bitmapOffset(block) + start/8
	p, err := d.bitmaps.Page(&d.file, d.fileSize, off)
	if err != nil {
		return sectorBits{}, err
	}
	b := p.B[off-p.Off:]
	m := sectorBits{first: start &^ 7, end: min(end, start&^7+8*int64(len(b))), lsbFirst: d.lsbFirst}
	m.b = b[:(m.end-m.first+7)/8]
	return m, nil
}

// run returns the end of the run of equal bits that starts at sector s, and whether they are set.
func (m sectorBits) run(s int64) (end int64, set bool) {
	i := s - m.first
	flip := byte(0) // 0xff inverts the bits if the run is set
	if set = m.at(i/8)<<(i%8)&0x80 != 0; set {
		flip = 0xff
	}
	if rest := (m.at(i/8) ^ flip) << (i % 8); rest != 0 {
		return min(s+int64(bits.LeadingZeros8(rest)), m.end), set
	}
	k := i/8 + 1
	for k < int64(len(m.b)) && m.b[k] == flip {
		k++
	}
	end = m.first + 8*k
	if k < int64(len(m.b)) {
		end += int64(bits.LeadingZeros8(m.at(k) ^ flip))
	}
	return min(end, m.end), set
}
