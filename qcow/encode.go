package qcow

import "encoding/binary"

// headerBytes is the number of bytes of the first cluster that are written. The header and its
// extensions fit; the rest is zeros.
const headerBytes = 1024

// encodeHeader returns the start of the first cluster (sections "Header" and "Header
// extensions").
func (a *allocator) encodeHeader() []byte {
	be := binary.BigEndian
	b := make([]byte, min(a.clusterSize(), headerBytes))
	copy(b, headerMagic)
	be.PutUint32(b[offVersion:], a.version)
	be.PutUint32(b[offClusterBits:], uint32(a.clusterBits))
	be.PutUint64(b[offSize:], uint64(a.size))
	be.PutUint32(b[offCryptMethod:], a.crypt)
	be.PutUint32(b[offL1Size:], uint32(a.l1Size))
	be.PutUint64(b[offL1Offset:], uint64(a.l1Offset))
	be.PutUint64(b[offReftable:], uint64(a.reftable))
	be.PutUint32(b[offReftableSize:], uint32(a.reftableLen))
	be.PutUint64(b[offIncompatible:], a.incompatible)
	be.PutUint32(b[offRefcountOrder:], a.refcountOrder)
	be.PutUint32(b[offHeaderLength:], uint32(a.headerLength))
	b[offCompression] = a.compression
	exts := b[:a.headerLength]
	if a.luksSize > 0 {
		exts = be.AppendUint32(exts, extCrypto)
		exts = be.AppendUint32(exts, 16)
		exts = be.AppendUint64(exts, uint64(a.luksOffset))
		exts = be.AppendUint64(exts, uint64(a.luksSize))
	}
	// Feature names help readers that do not know the features. A cluster of 512 bytes has no room
	// for all of them.
	if names := featureTable(); len(exts)+8+len(names)+8 <= len(b) {
		exts = be.AppendUint32(exts, extFeatureNames)
		exts = be.AppendUint32(exts, uint32(len(names)))
		_ = append(exts, names...)
	}
	return b // exts shares memory with b, and the zeros after them end the extensions
}

// featureTable returns the names of all known features (section "Feature name table").
func featureTable() []byte {
	var b []byte
	for kind := range uint8(featureAutoclear + 1) {
		for bit := range uint8(64) {
			if name, ok := knownFeatures[featureKey{kind, bit}]; ok {
				var e [featureNameSize]byte
				e[0], e[1] = kind, bit
				copy(e[2:], name)
				b = append(b, e[:]...)
			}
		}
	}
	return b
}
