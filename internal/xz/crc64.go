package xz

import "hash/crc64"

var crc64Table = crc64.MakeTable(crc64.ECMA)

// updateCRC64 adds p to a CRC64.
func updateCRC64(crc uint64, p []byte) uint64 {
	if n := len(p) &^ 63; useFold && n > 0 {
		// Folding reduces the bytes to 16 with the same CRC64 from an initial value of 0, which package
		// crc64 inverts.
		var folded [16]byte
		fold(&folded, p[:n], ^crc)
		crc = crc64.Update(^uint64(0), crc64Table, folded[:])
		p = p[n:]
	}
	return crc64.Update(crc, crc64Table, p)
}
