package vmdk

import (
	"encoding/binary"
	"fmt"
)

// Types of markers of metadata; a marker with a size is of a grain (section
// "Stream-Optimized Compressed Sparse Extents").
const (
	markerEnd       = 0
	markerTable     = 1
	markerDirectory = 2
	markerFooter    = 3
)

// grainMarker is how many bytes of a marker are in front of the data of a grain.
const grainMarker = 12

// A marker is in front of each grain and of metadata in a stream.
type marker struct {
	val  uint64 // of a grain: its first sector in the extent; or sectors of metadata
	size uint32 // of a grain: bytes of compressed data; or 0
	kind uint32 // of metadata
}

func parseMarker(b []byte) marker {
	le := binary.LittleEndian
	return marker{le.Uint64(b), le.Uint32(b[8:]), le.Uint32(b[12:])}
}

func (m marker) String() string { return fmt.Sprintf("type %d, size %d", m.kind, m.size) }
