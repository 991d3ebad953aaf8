package vmdk

import (
	"encoding/binary"
	"fmt"
)

// Types of metadata markers. A marker with a size belongs to a grain (section "Stream-Optimized
// Compressed Sparse Extents").
const (
	markerEnd       = 0
	markerTable     = 1
	markerDirectory = 2
	markerFooter    = 3
)

// grainMarker is the number of bytes of a marker in front of the data of a grain.
const grainMarker = 12

// A marker precedes each grain and each metadata block in a stream.
type marker struct {
	val  uint64 // first sector of a grain in the extent, or sectors of metadata
	size uint32 // bytes of compressed data of a grain, or 0
	kind uint32 // type of metadata
}

func parseMarker(b []byte) marker {
	le := binary.LittleEndian
	return marker{le.Uint64(b), le.Uint32(b[8:]), le.Uint32(b[12:])}
}

func (m marker) String() string { return fmt.Sprintf("type %d, size %d", m.kind, m.size) }
