package contents

import (
	"hash/crc32"
)

// A disk is an image with a partition table that tests write field by field.
type disk struct {
	b      []byte
	sector int
}

// gptDisk returns a disk of the given number of sectors. Each pair has the first and last sector of a
// partition.
func gptDisk(sector, sectors int, parts ...[2]uint64) *disk {
	d := &disk{make([]byte, sector*sectors), sector}
	d.mbrEntry(0, 0, 0, 0xee, 1, uint32(sectors-1))
	d.b[510], d.b[511] = 0x55, 0xaa
	for _, at := range []int{1, sectors - 1} {
		h := d.header(at)
		copy(h, gptMark)
		le.PutUint32(h[8:], 0x10000)
		le.PutUint32(h[12:], gptHeaderSize)
		le.PutUint64(h[24:], uint64(at))
		le.PutUint64(h[32:], uint64(sectors-at))
		le.PutUint64(h[72:], 2)
		if at > 1 {
			le.PutUint64(h[72:], uint64(at-4*128/sector-1))
		}
		le.PutUint32(h[80:], 4)
		le.PutUint32(h[84:], gptEntrySize)
		for i, p := range parts {
			e := d.entry(at, i)
			copy(e, "\xaf\x3d\xc6\x0f\x83\x84\x72\x47\x8e\x79\x3d\x69\xd8\x47\x7d\xe4") // linux
			e[16] = byte(i + 1)
			le.PutUint64(e[32:], p[0])
			le.PutUint64(e[40:], p[1])
			copy(e[56:], "p\x00")
		}
		d.seal(at)
	}
	return d
}

// header returns the sector of a GPT header.
func (d *disk) header(at int) []byte { return d.b[at*d.sector:][:d.sector] }

// entry returns entry i of a header's partition array.
func (d *disk) entry(at, n int) []byte {
	return d.b[int(le.Uint64(d.header(at)[72:]))*d.sector+n*gptEntrySize:][:gptEntrySize]
}

// seal sets both checksums of a GPT header.
func (d *disk) seal(at int) {
	h := d.header(at)
	array := d.b[int(le.Uint64(h[72:]))*d.sector:][:int(le.Uint32(h[80:]))*gptEntrySize]
	le.PutUint32(h[88:], crc32.ChecksumIEEE(array))
	d.sealHeader(at)
}

// sealHeader sets the checksum of a header, but not the checksum of its entries.
func (d *disk) sealHeader(at int) {
	h := d.header(at)
	clear(h[16:20])
	le.PutUint32(h[16:], crc32.ChecksumIEEE(h[:gptHeaderSize]))
}

// mbrEntry writes an entry of the MBR, or of an extended boot record, in a sector.
func (d *disk) mbrEntry(sector, n int, flag, kind byte, first, count uint32) {
	s := d.b[sector*512:][:512]
	s[510], s[511] = 0x55, 0xaa
	e := s[446+16*n:]
	e[0], e[4] = flag, kind
	le.PutUint32(e[8:], first)
	le.PutUint32(e[12:], count)
}

// mbrDisk returns a disk with an MBR and one partition.
func mbrDisk(sectors int) *disk {
	d := &disk{make([]byte, 512*sectors), 512}
	d.mbrEntry(0, 0, 0x80, 0x83, 1, 8)
	return d
}
