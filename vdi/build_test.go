package vdi

import (
	"bytes"
	"context"
	"encoding/binary"
	"math/rand/v2"
)

// An img describes an image for build.
type img struct {
	typ       uint32 // 0: dynamic
	size      int64  // size of the disk
	blockSize int64  // 0: 1 MiB
	extra     int64
	mapOff    int64 // 0: 512
	dataOff   int64 // 0: 1 MiB
	entries   []uint32
	comment   string
}

const mib = 1 << 20

// build returns the file and the disk. Each block of the disk is different noise.
func (m img) build() (file, guest []byte) {
	if m.typ == 0 {
		m.typ = typeDynamic
	}
	if m.blockSize == 0 {
		m.blockSize = mib
	}
	if m.mapOff == 0 {
		m.mapOff = 512
	}
	if m.dataOff == 0 {
		m.dataOff = mib
	}
	end := m.mapOff + int64(len(m.entries))*4
	allocated := uint32(0)
	for _, e := range m.entries {
		if isBlock(e) {
			allocated++
			end = max(end, m.dataOff+(int64(e)+1)*(m.extra+m.blockSize))
		}
	}
	file = make([]byte, max(end, headerEnd))
	copy(file, "<<< a disk image of the tests >>>\n")
	copy(file[offSignature:], signature)
	put := func(off int, v uint32) { binary.LittleEndian.PutUint32(file[off:], v) }
	put(offVersion, version11)
	put(offHeaderSize, 0x190)
	put(offType, m.typ)
	copy(file[offComment:offComment+commentSize], m.comment)
	put(offMap, uint32(m.mapOff))
	put(offData, uint32(m.dataOff))
	binary.LittleEndian.PutUint64(file[offDiskSize:], uint64(m.size))
	put(offBlockSize, uint32(m.blockSize))
	put(offBlockExtra, uint32(m.extra))
	put(offBlocks, uint32(len(m.entries)))
	put(offAllocated, allocated)
	copy(file[offID:], "identity of disk")
	if m.size <= 1<<30 {
		guest = make([]byte, (m.size+511)/512*512)
	}
	rnd := rand.NewChaCha8([32]byte{1})
	for i, e := range m.entries {
		put(int(m.mapOff)+4*i, e)
		if isBlock(e) {
			at := m.dataOff + int64(e)*(m.extra+m.blockSize)
			rnd.Read(file[at : at+m.extra+m.blockSize])
			copy(guest[min(int64(i)*m.blockSize, int64(len(guest))):], file[at+m.extra:][:m.blockSize])
		}
	}
	return file, guest
}

func open(file []byte) (*Disk, error) {
	return Open(context.Background(), bytes.NewReader(file), int64(len(file)), Options{})
}
