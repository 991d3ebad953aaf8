package vhd

import (
	"crypto/aes"
	"crypto/sha256"
	"encoding/binary"
	"math/bits"
	"math/rand/v2"
	"unicode/utf16"

	"github.com/luksimg/luksimg/internal/imagetest"
	xcrypto "golang.org/x/crypto/xts"
)

// A testDisk describes a disk for build. The zero value of a field means the default in its
// comment. Tests make odd places of tables and footers by editing the bytes that build returns.
type testDisk struct {
	size      int64  // virtual size, bytes; as current size and, if chs is nil, geometry
	blockSize int64  // bytes; 0 makes a fixed disk
	spare     int    // number of table entries beyond those that the size needs
	creator   string // "win "
	version   uint32 // creator version, 6.1
	chs       *[3]uint16
	short     bool // a footer of 511 bytes
	noEnd     bool // no footer at the end
	full      bool // all blocks allocated, all bits set
	seed      uint64

	base     []byte // the parent disk; if not nil, the disk is differencing
	baseID   byte   // first byte of the parent's unique ID, 1
	id       byte   // first byte of the disk's unique ID, 1
	locators []name // parent locators
	batmap   bool   // has a batmap that marks the full blocks
	key      []byte // encrypts the disk and adds a batmap
	align    int    // alignment of the data of blocks, 512
	reserved int    // unused bytes in front of the blocks
	kinds    []int  // kinds of the blocks; random if nil; see build
}

// A name is the name that a parent locator refers to.
type name struct {
	code  string
	text  string
	bytes bool // data space counts bytes instead of sectors
}

// The kinds of blocks: absent, all bits clear, all bits set. All higher values are mixed.
const (
	kindAbsent = iota
	kindClear
	kindFull
	kindMixed
)

var be = binary.BigEndian

// build returns the file and the disk that a guest sees. Blocks are randomly absent, empty, full or
// mixed, in random order. Sectors with clear bits hold bytes that the guest must not see.
func (t testDisk) build() (file, guest []byte) {
	rnd := rand.New(rand.NewPCG(t.seed, 42))
	guest = make([]byte, t.size)
	if t.blockSize == 0 {
		imagetest.Fill(rnd, guest)
		return append(append(file, guest...), t.footer(typeFixed, noOffset)...), guest
	}
	blocks := int((t.size + t.blockSize - 1) / t.blockSize)
	entries := blocks + t.spare
	table := make([]byte, roundUp(4*entries, sectorSize))
	for i := range table {
		table[i] = 0xff
	}
	diskType := uint32(typeDynamic)
	if t.base != nil {
		diskType = typeDifferencing
		copy(guest, t.base)
	}
	f := t.footer(diskType, footerSize)
	file = append(file, f[:footerSize-1]...)
	file = append(file, 0)
	file = append(file, t.header(footerSize+headerSize, int64(entries))...)
	file = append(file, table...)
	batmapAt := len(file)
	mapSize := roundUp((entries+7)/8, sectorSize)
	if t.batmap || t.key != nil {
		file = append(file, make([]byte, sectorSize+mapSize)...)
	}
	file = t.addLocators(file)
	file = append(file, make([]byte, t.reserved)...)
	bitmapSize := roundUp(int(t.blockSize/sectorSize+7)/8, sectorSize)
	for _, b := range rnd.Perm(blocks) {
		kind := rnd.IntN(5)
		if t.full {
			kind = kindFull
		}
		if t.kinds != nil {
			kind = t.kinds[b%len(t.kinds)]
		}
		if kind == kindAbsent {
			continue
		}
		if t.align != 0 {
			file = append(file, make([]byte, roundUp(len(file)+bitmapSize, t.align)-len(file)-bitmapSize)...)
		}
		be.PutUint32(file[footerSize+headerSize+4*b:], uint32(len(file)/sectorSize))
		bitmap, data := make([]byte, bitmapSize), make([]byte, t.blockSize)
		imagetest.Fill(rnd, data)
		set := kind >= kindFull
		for s := range int(t.blockSize / sectorSize) {
			if kind >= kindMixed && (s == 0 || rnd.IntN(6) == 0) {
				set = rnd.IntN(2) == 0
			}
			if !set {
				continue
			}
			bitmap[s/8] |= 0x80 >> (s % 8)
			at := int64(b)*t.blockSize + int64(s)*sectorSize
			sector := data[s*sectorSize:][:sectorSize]
			if at < t.size {
				copy(guest[at:], sector)
			}
			if t.key != nil {
				encryptSector(t.key, sector, at/sectorSize)
			}
		}
		if kind == kindFull && (t.batmap || t.key != nil) {
			file[batmapAt+sectorSize+b/8] |= 0x80 >> (b % 8)
		}
		if t.creator == "tap\x00" && t.version == 1 {
			for i, v := range bitmap {
				bitmap[i] = bits.Reverse8(v)
			}
		}
		file = append(append(file, bitmap...), data...)
	}
	if t.batmap || t.key != nil {
		t.putBatmap(file[batmapAt:], batmapAt, mapSize)
	}
	if !t.noEnd {
		file = append(file, f...)
	}
	return file, guest
}

func roundUp(n, unit int) int { return (n + unit - 1) / unit * unit }

// encryptSector encrypts a sector with an independent implementation of AES-XTS.
func encryptSector(key, b []byte, sector int64) {
	c, err := xcrypto.NewCipher(aes.NewCipher, key)
	if err != nil {
		panic(err)
	}
	c.Encrypt(b, b, uint64(uint32(sector)))
}

// putBatmap writes a batmap header at off of the file. The map itself follows it.
func (t testDisk) putBatmap(b []byte, off, mapSize int) {
	copy(b, batmapCookie)
	be.PutUint64(b[offBatmapOffset:], uint64(off+sectorSize))
	be.PutUint32(b[offBatmapSize:], uint32(mapSize/sectorSize))
	be.PutUint32(b[offBatmapVersion:], batmapVersion)
	be.PutUint32(b[offBatmapSum:], checksum(b[sectorSize:][:mapSize], mapSize))
	if t.key != nil {
		b[offKeyCookie] = 1
		for i := range 32 {
			b[offKeyNonce+i] = byte(0xa0 + i)
		}
		sum := sha256.Sum256(append(append([]byte{}, b[offKeyNonce:][:32]...), t.key...))
		copy(b[offKeyHash:], sum[:])
	}
}

// addLocators appends the names of the parent, each in whole sectors.
func (t testDisk) addLocators(file []byte) []byte {
	for i, n := range t.locators {
		b := []byte(n.text)
		if n.code == locatorAbsolute || n.code == locatorRelative {
			b = nil
			for _, u := range utf16.Encode([]rune(n.text)) {
				b = binary.LittleEndian.AppendUint16(b, u)
			}
		}
		editHeader(file, func(h []byte) {
			l := h[offLocators+i*locatorSize:]
			copy(l, n.code)
			space := roundUp(len(b), sectorSize)
			if !n.bytes {
				space /= sectorSize
			}
			be.PutUint32(l[offLocatorSpace:], uint32(space))
			be.PutUint32(l[offLocatorLength:], uint32(len(b)))
			be.PutUint64(l[offLocatorData:], uint64(len(file)))
		})
		file = append(file, b...)
		file = append(file, make([]byte, roundUp(len(b), sectorSize)-len(b))...)
	}
	return file
}

func (t testDisk) footer(kind uint32, dataOffset uint64) []byte {
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
	f[offUniqueID] = max(t.id, 1)
	sumFooter(f)
	if t.short {
		f = f[:footerSize-1]
	}
	return f
}

func (t testDisk) header(table uint64, entries int64) []byte {
	h := make([]byte, headerSize)
	copy(h, headerCookie)
	be.PutUint64(h[offNext:], noOffset)
	be.PutUint64(h[offTableOffset:], table)
	be.PutUint32(h[offHeaderVer:], 0x00010000)
	be.PutUint32(h[offMaxEntries:], uint32(entries))
	be.PutUint32(h[offBlockSize:], uint32(t.blockSize))
	if t.base != nil {
		for i := range 16 {
			h[offParentID+i] = byte(i + 1)
		}
		h[offParentID] = max(t.baseID, 1)
		be.PutUint32(h[offParentTime:], 86400)
		for i, u := range utf16.Encode([]rune("bäse.vhd")) {
			be.PutUint16(h[offParentName+2*i:], u)
		}
	}
	sumHeader(h)
	return h
}

func sumFooter(f []byte) { be.PutUint32(f[offFooterSum:], checksum(f, offFooterSum)) }
func sumHeader(h []byte) { be.PutUint32(h[offHeaderSum:], checksum(h, offHeaderSum)) }

// editFooters edits all footers of a file and updates their checksums.
func editFooters(file []byte, edit func(f []byte)) {
	for _, off := range []int{0, len(file) - footerSize} {
		if f := file[off:][:footerSize]; string(f[:8]) == footerCookie {
			edit(f)
			sumFooter(f)
		}
	}
}

// editHeader edits the dynamic disk header after the footer copy and updates its checksum.
func editHeader(file []byte, edit func(h []byte)) {
	h := file[footerSize:][:headerSize]
	edit(h)
	sumHeader(h)
}

// tableEntry returns the table entry of a block in a file that build made.
func tableEntry(file []byte, block int) []byte { return file[footerSize+headerSize+4*block:][:4] }
