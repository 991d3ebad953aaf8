package vmdk

import (
	"encoding/binary"
	"fmt"
)

// header returns the header, or the footer, of the extent (section "Hosted Sparse Extent Header").
func (w *writer) header(directory uint64) []byte {
	b := make([]byte, headerSize)
	copy(b, magicSparse)
	le := binary.LittleEndian
	le.PutUint32(b[offVersion:], 3) // version 3: grains are compressed
	le.PutUint32(b[offFlags:], flagLineEnds|flagCompressed|flagMarkers)
	le.PutUint64(b[offCapacity:], uint64(w.result.VirtualSize/sectorSize))
	le.PutUint64(b[offGrainSize:], grainSectors)
	le.PutUint64(b[offDescriptor:], 1)
	le.PutUint64(b[offDescriptorSize:], descriptorRoom/sectorSize)
	le.PutUint32(b[offEntries:], tableEntries)
	le.PutUint64(b[offDirectory:], directory)
	le.PutUint64(b[offOverHead:], overHead/sectorSize)
	copy(b[offLineEnds:], lineEnds)
	le.PutUint16(b[offCompressAlgorithm:], 1)
	return b
}

// descriptorRoom is the space for the descriptor in bytes.
const descriptorRoom = 20 * sectorSize

// descriptorArea returns the descriptor, padded with zeros (section "The Descriptor File"). Readers
// ignore the file name in it, because the extent is in the same file. The adapter and the geometry
// are those of ESX, and the tools version is that of open-vm-tools.
func (w *writer) descriptorArea() []byte {
	const heads, perTrack, mostCylinders = 255, 63, 65535
	sectors := w.result.VirtualSize / sectorSize
	cylinders := min((sectors+heads*perTrack-1)/(heads*perTrack), mostCylinders)
	b := make([]byte, 0, descriptorRoom)
	b = fmt.Appendf(b, `# Disk DescriptorFile
version=1
encoding="UTF-8"
CID=%s
parentCID=%s
createType="streamOptimized"

# Extent description
RDONLY %d SPARSE "disk.vmdk"

# The Disk Data Base
#DDB

ddb.adapterType = "lsilogic"
ddb.geometry.cylinders = "%d"
ddb.geometry.heads = "%d"
ddb.geometry.sectors = "%d"
ddb.toolsVersion = "2147483647"
ddb.virtualHWVersion = "4"
`, w.result.CID, hexCID(noParent), sectors, cylinders, heads, perTrack)
	return b[:descriptorRoom]
}

// metadata returns a metadata block with its marker, in whole sectors (section "Stream-Optimized
// Compressed Sparse Extents").
func metadata(kind uint32, b []byte) []byte {
	sectors := (len(b) + sectorSize - 1) / sectorSize
	m := make([]byte, sectorSize+sectors*sectorSize)
	binary.LittleEndian.PutUint64(m, uint64(sectors))
	binary.LittleEndian.PutUint32(m[12:], kind)
	copy(m[sectorSize:], b)
	return m
}

// endTable allocates the current grain table and returns its bytes. It returns nil before the first
// grain.
func (w *writer) endTable() []byte {
	if w.index < 0 {
		return nil
	}
	m := metadata(markerTable, w.table)
	w.directory[w.index] = uint32(w.next/sectorSize) + 1
	w.next += int64(len(m))
	clear(w.table)
	return m
}

// finish writes everything after the last grain: its grain table, the grain directory, the footer
// and the end-of-stream marker, a sector of zeros.
func (w *writer) finish() error {
	at := w.next
	end := w.endTable()
	directory := make([]byte, 4*len(w.directory))
	for i, sector := range w.directory {
		binary.LittleEndian.PutUint32(directory[4*i:], sector)
	}
	where := uint64(w.next/sectorSize) + 1
	end = append(end, metadata(markerDirectory, directory)...)
	end = append(end, metadata(markerFooter, w.header(where))...)
	end = append(end, make([]byte, sectorSize)...)
	w.next = at + int64(len(end))
	if err := w.checkEnd(); err != nil {
		return err
	}
	w.result.FileSize = w.next
	return w.put(end, at)
}
