package vhd

import "encoding/binary"

// The file of a dynamic disk consists of the footer copy, the dynamic disk header, the block
// allocation table, the batmap if the disk is encrypted, the blocks and the footer.
const tableStart = footerSize + headerSize

// tableBytes returns the size of the block allocation table, in whole sectors.
func (w *writer) tableBytes() int64 { return (4*w.blocks + sectorSize - 1) / sectorSize * sectorSize }

// batmapBytes returns the size of the batmap: one bit per block, at least one sector.
func (w *writer) batmapBytes() int64 {
	return max((w.blocks+8*sectorSize-1)/(8*sectorSize), 1) * sectorSize
}

// metaEnd returns the end of the metadata in front of the blocks.
func (w *writer) metaEnd() int64 {
	end := tableStart + w.tableBytes()
	if w.encrypted {
		end += sectorSize + w.batmapBytes()
	}
	return end
}

// bitmapBytes returns the size of the bitmap in front of the data of a block.
func (w *writer) bitmapBytes() int64 {
	return (w.blockSize/sectorSize/8 + sectorSize - 1) / sectorSize * sectorSize
}

// span returns the size of a block with its bitmap in the file.
func (w *writer) span() int64 { return w.bitmapBytes() + w.blockSize }

// place returns the offset of the next block in a file of end bytes.
func (w *writer) place(end int64) int64 {
	return (end+w.bitmapBytes()+dataAlign-1)/dataAlign*dataAlign - w.bitmapBytes()
}

// footer returns the footer of the disk.
func (w *writer) footer() []byte {
	f := make([]byte, footerSize)
	be := binary.BigEndian
	copy(f, footerCookie)
	be.PutUint32(f[8:], 2) // reserved bit, always set; no features
	be.PutUint32(f[offVersion:], 0x00010000)
	be.PutUint64(f[offDataOffset:], footerSize)
	be.PutUint32(f[offTimestamp:], uint32(w.opts.Timestamp.Unix()-epoch.Unix()))
	// Hyper-V is a creator for which QEMU uses the size.
	copy(f[offCreatorApp:], "win ")
	be.PutUint32(f[offCreatorVer:], 0x000a0000)
	copy(f[offCreatorOS:], "Wi2k")
	if w.encrypted {
		// tapdisk is another one. vhd-util looks for a batmap only with this creator.
		copy(f[offCreatorApp:], "tap\x00")
		be.PutUint32(f[offCreatorVer:], 0x00010003)
		clear(f[offCreatorOS:][:4])
	}
	be.PutUint64(f[40:], uint64(w.result.VirtualSize)) // original size
	be.PutUint64(f[offCurrentSize:], uint64(w.result.VirtualSize))
	be.PutUint32(f[offGeometry:], geometry(w.result.VirtualSize))
	be.PutUint32(f[offDiskType:], typeDynamic)
	if w.opts.Type == Fixed {
		be.PutUint64(f[offDataOffset:], noOffset)
		be.PutUint32(f[offDiskType:], typeFixed)
	}
	copy(f[offUniqueID:], w.opts.UniqueID[:])
	be.PutUint32(f[offFooterSum:], checksum(f, offFooterSum))
	return f
}

// geometry returns the geometry field of a footer for a disk of size bytes, by the specification's
// appendix "CHS Calculation". It can describe less than the size. "vhd-util check" refuses a larger
// geometry.
func geometry(size int64) uint32 {
	total := min(max(size/sectorSize, 1), maxCHSSectors)
	var heads, perTrack, tracks int64
	if total >= 65535*16*63 {
		heads, perTrack = 16, 255
		tracks = total / perTrack
	} else {
		perTrack = 17
		tracks = total / perTrack
		heads = max((tracks+1023)/1024, 4)
		if tracks >= heads*1024 || heads > 16 {
			heads, perTrack = 16, 31
			tracks = total / perTrack
		}
		if tracks >= heads*1024 {
			heads, perTrack = 16, 63
			tracks = total / perTrack
		}
	}
	return uint32(tracks/heads)<<16 | uint32(heads)<<8 | uint32(perTrack)
}

// header returns the dynamic disk header.
func (w *writer) header() []byte {
	h := make([]byte, headerSize)
	be := binary.BigEndian
	copy(h, headerCookie)
	be.PutUint64(h[offNext:], noOffset)
	be.PutUint64(h[offTableOffset:], tableStart)
	be.PutUint32(h[offHeaderVer:], 0x00010000)
	be.PutUint32(h[offMaxEntries:], uint32(w.blocks))
	be.PutUint32(h[offBlockSize:], uint32(w.blockSize))
	be.PutUint32(h[offHeaderSum:], checksum(h, offHeaderSum))
	return h
}

// batmap returns the batmap header and the map, in which all allocated blocks are full.
func (w *writer) batmap() []byte {
	be := binary.BigEndian
	b := make([]byte, sectorSize+w.batmapBytes())
	m := b[sectorSize:]
	for i := range w.blocks {
		if be.Uint32(w.table[4*i:]) != absent {
			m[i/8] |= 0x80 >> (i % 8)
		}
	}
	copy(b, batmapCookie)
	be.PutUint64(b[offBatmapOffset:], uint64(tableStart+w.tableBytes()+sectorSize))
	be.PutUint32(b[offBatmapSize:], uint32(w.batmapBytes()/sectorSize))
	be.PutUint32(b[offBatmapVersion:], batmapVersion)
	be.PutUint32(b[offBatmapSum:], checksum(m, len(m)))
	b[offKeyCookie] = 1
	copy(b[offKeyNonce:], w.result.KeyNonce[:])
	copy(b[offKeyHash:], w.result.KeyHash[:])
	return b
}
