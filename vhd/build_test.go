package vhd

import (
	"encoding/binary"
	"math/bits"
	"math/rand/v2"
)

// A disk is what the tests build an image of: the zero value of a field takes the
// default that it names. A table or footer at odd places is made by editing the
// bytes that build returns.
type disk struct {
	size      int64  // virtual size, bytes; as current size and, if chs is nil, geometry
	blockSize int64  // bytes; 0 makes a fixed disk
	spare     int    // table entries more than the size needs
	creator   string // "win "
	version   uint32 // creator version, 6.1
	chs       *[3]uint16
	short     bool // a footer of 511 bytes
	noEnd     bool // no footer at the end
	full      bool // every block present, every bit set
	seed      uint64
}

var be = binary.BigEndian

// build returns the file and what the guest sees. Blocks are absent, empty, full or
// mixed at random and lie in random order; sectors with clear bits have bytes that
// the guest must not see.
func (t disk) build() (file, guest []byte) {
	rnd := rand.New(rand.NewPCG(t.seed, 42))
	guest = make([]byte, t.size)
	if t.blockSize == 0 {
		fill(rnd, guest)
		return append(append(file, guest...), t.footer(typeFixed, noOffset)...), guest
	}
	blocks := int((t.size + t.blockSize - 1) / t.blockSize)
	entries := blocks + t.spare
	table := make([]byte, (4*entries+sectorSize-1)/sectorSize*sectorSize)
	for i := range table {
		table[i] = 0xff
	}
	f := t.footer(typeDynamic, footerSize)
	file = append(file, f[:footerSize-1]...)
	file = append(file, 0)
	file = append(file, t.header(footerSize+headerSize, entries)...)
	file = append(file, table...)
	span := int((t.blockSize/sectorSize+7)/8+sectorSize-1) / sectorSize * sectorSize
	for _, b := range rnd.Perm(blocks) {
		kind := rnd.IntN(5)
		if t.full {
			kind = 2
		}
		if kind == 0 {
			continue
		}
		be.PutUint32(file[footerSize+headerSize+4*b:], uint32(len(file)/sectorSize))
		bitmap, data := make([]byte, span), make([]byte, t.blockSize)
		fill(rnd, data)
		set := kind >= 2
		for s := range int(t.blockSize / sectorSize) {
			if kind >= 3 && (s == 0 || rnd.IntN(6) == 0) {
				set = rnd.IntN(2) == 0
			}
			if !set {
				continue
			}
			bitmap[s/8] |= 0x80 >> (s % 8)
			if at := int64(b)*t.blockSize + int64(s)*sectorSize; at < t.size {
				copy(guest[at:], data[s*sectorSize:][:sectorSize])
			}
		}
		if t.creator == "tap\x00" && t.version == 1 {
			for i, v := range bitmap {
				bitmap[i] = bits.Reverse8(v)
			}
		}
		file = append(append(file, bitmap...), data...)
	}
	if !t.noEnd {
		file = append(file, f...)
	}
	return file, guest
}

func (t disk) footer(kind uint32, dataOffset uint64) []byte {
	f := make([]byte, footerSize)
	copy(f, footerCookie)
	be.PutUint32(f[8:], 2)
	be.PutUint32(f[offVersion:], 0x00010000)
	be.PutUint64(f[offDataOffset:], dataOffset)
	be.PutUint32(f[offTimestamp:], 86400)
	copy(f[offCreatorApp:], "win ")
	be.PutUint32(f[offCreatorVer:], 0x00060001)
	if t.creator != "" {
		copy(f[offCreatorApp:], t.creator)
		be.PutUint32(f[offCreatorVer:], t.version)
	}
	copy(f[offCreatorOS:], "Wi2k")
	be.PutUint64(f[40:], uint64(t.size))
	be.PutUint64(f[offCurrentSize:], uint64(t.size))
	chs := t.chs
	if chs == nil {
		chs = &[3]uint16{uint16(t.size / sectorSize), 1, 1}
	}
	be.PutUint16(f[offGeometry:], chs[0])
	f[offGeometry+2], f[offGeometry+3] = byte(chs[1]), byte(chs[2])
	be.PutUint32(f[offDiskType:], kind)
	for i := range 16 {
		f[offUniqueID+i] = byte(i + 1)
	}
	sumFooter(f)
	if t.short {
		f = f[:footerSize-1]
	}
	return f
}

func (t disk) header(table uint64, entries int) []byte {
	h := make([]byte, headerSize)
	copy(h, headerCookie)
	be.PutUint64(h[offNext:], noOffset)
	be.PutUint64(h[offTableOffset:], table)
	be.PutUint32(h[offHeaderVer:], 0x00010000)
	be.PutUint32(h[offMaxEntries:], uint32(entries))
	be.PutUint32(h[offBlockSize:], uint32(t.blockSize))
	sumHeader(h)
	return h
}

func sumFooter(f []byte) { be.PutUint32(f[offFooterSum:], checksum(f, offFooterSum)) }
func sumHeader(h []byte) { be.PutUint32(h[offHeaderSum:], checksum(h, offHeaderSum)) }

// fill writes random bytes, none of them zero.
func fill(rnd *rand.Rand, b []byte) {
	var word [8]byte
	for len(b) > 0 {
		be.PutUint64(word[:], rnd.Uint64()|0x0101010101010101)
		b = b[copy(b, word[:]):]
	}
}

// editFooters changes all footers of a file and makes their checksums right.
func editFooters(file []byte, edit func(f []byte)) {
	for _, off := range []int{0, len(file) - footerSize} {
		if f := file[off:][:footerSize]; string(f[:8]) == footerCookie {
			edit(f)
			sumFooter(f)
		}
	}
}

// editHeader changes the dynamic disk header behind the footer copy.
func editHeader(file []byte, edit func(h []byte)) {
	h := file[footerSize:][:headerSize]
	edit(h)
	sumHeader(h)
}

// tableEntry returns the entry of a block in a file that build made.
func tableEntry(file []byte, block int) []byte { return file[footerSize+headerSize+4*block:][:4] }
