package vhdx

import (
	"encoding/binary"
	"unicode/utf16"
)

// Layout of the files that Create makes: the header section, the log, the metadata region, the
// block allocation table, the blocks. All but the first start at a multiple of 1 MiB.
const (
	logOffset      = headerEnd
	logLength      = mib
	metadataOffset = logOffset + logLength
	metadataLength = mib
	tableOffset    = metadataOffset + metadataLength

	creator = "luksimg"
)

// tableLength returns the size of the block allocation table's region in bytes.
func (w *writer) tableLength() int64 {
	entries := w.m.index(w.m.blocks()-1) + 1
	return (8*entries + mib - 1) &^ (mib - 1)
}

// metadata writes all metadata. It writes the file type identifier, which makes the file a VHDX,
// last.
func (w *writer) metadata() error {
	items := w.encodeMetadata()
	regions := w.encodeRegions()
	for _, p := range []struct {
		b   []byte
		off int64
	}{
		{items, metadataOffset},
		{regions, region1Offset},
		{regions, region2Offset},
		// The header with the higher sequence number is current.
		{w.encodeHeader(1), header1Offset},
		{w.encodeHeader(2), header2Offset},
	} {
		if _, err := w.dst.WriteAt(p.b, p.off); err != nil {
			return err
		}
	}
	if err := w.dst.Sync(); err != nil {
		return err
	}
	_, err := w.dst.WriteAt(encodeIdentifier(), 0)
	return err
}

// encodeIdentifier returns the file type identifier (section 2.2.1).
func encodeIdentifier() []byte {
	b := make([]byte, offCreator+creatorSize)
	copy(b, fileMagic)
	for i, u := range utf16.Encode([]rune(creator)) {
		binary.LittleEndian.PutUint16(b[offCreator+2*i:], u)
	}
	return b
}

// encodeHeader returns a header (section 2.2.2) with an empty log.
func (w *writer) encodeHeader(sequence uint64) []byte {
	b := make([]byte, headerSize)
	le := binary.LittleEndian
	copy(b, headerMagic)
	le.PutUint64(b[offSequence:], sequence)
	fileWrite, dataWrite := w.derived("file write"), w.derived("data write")
	copy(b[offFileWrite:], fileWrite[:])
	copy(b[offDataWrite:], dataWrite[:])
	le.PutUint16(b[offVersion:], 1)
	le.PutUint32(b[offLogLength:], logLength)
	le.PutUint64(b[offLogOffset:], logOffset)
	le.PutUint32(b[offChecksum:], checksum(b))
	return b
}

// encodeRegions returns a region table (section 2.2.3). It marks both regions as required.
func (w *writer) encodeRegions() []byte {
	b := make([]byte, regionTableSize)
	le := binary.LittleEndian
	copy(b, regionMagic)
	entries := []struct {
		id          guid
		off, length int64
	}{{batGUID, tableOffset, w.tableLength()}, {metadataGUID, metadataOffset, metadataLength}}
	le.PutUint32(b[offEntryCount:], uint32(len(entries)))
	for i, r := range entries {
		e := b[regionEntries+i*tableEntrySize:]
		copy(e, r.id[:])
		le.PutUint64(e[16:], uint64(r.off))
		le.PutUint32(e[24:], uint32(r.length))
		le.PutUint32(e[28:], 1)
	}
	le.PutUint32(b[offChecksum:], checksum(b))
	return b
}

// encodeMetadata returns the metadata table, followed by its items (section 2.6).
func (w *writer) encodeMetadata() []byte {
	b := make([]byte, metadataTableSize)
	le := binary.LittleEndian
	copy(b, metadataMagic)
	m := &w.m
	items := []struct {
		id    guid
		flags uint32
		value []byte
	}{
		{fileParametersGUID, flagRequired, le.AppendUint64(nil, uint64(m.blockSize))}, // flags are zero
		{diskSizeGUID, flagRequired | flagDisk, le.AppendUint64(nil, uint64(m.size))},
		{diskIDGUID, flagRequired | flagDisk, m.diskID[:]},
		{logicalSectorGUID, flagRequired | flagDisk, le.AppendUint32(nil, uint32(m.logicalSector))},
		{physicalSectorGUID, flagRequired | flagDisk, le.AppendUint32(nil, uint32(m.physicalSector))},
	}
	le.PutUint16(b[offItemCount:], uint16(len(items)))
	for i, it := range items {
		e := b[metadataEntries+i*tableEntrySize:]
		copy(e, it.id[:])
		le.PutUint32(e[16:], uint32(len(b)))
		le.PutUint32(e[20:], uint32(len(it.value)))
		le.PutUint32(e[24:], it.flags)
		b = append(b, it.value...)
	}
	return b
}
