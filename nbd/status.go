package nbd

import (
	"context"
	"encoding/binary"

	"github.com/luksimg/luksimg/image"
)

// maxExtents is the maximum number of extents in a reply. The client requests the rest.
const maxExtents = 1024

// blockStatus answers with the extents of a nonempty range.
func (c *session) blockStatus(ctx context.Context, q request) {
	most := maxExtents
	if q.flags&cmdFlagReqOne != 0 {
		most = 1
	}
	n := 0
	b := make([]byte, structuredSize, structuredSize+4+8)
	b = binary.BigEndian.AppendUint32(b, contextID)
	for e, err := range image.ExtentsContext(ctx, c.e.Source, int64(q.off), int64(q.length)) {
		if err != nil && n == 0 {
			c.s.report(err)
			c.finish(ctx, q, err)
			return
		}
		if err != nil {
			break // the client requests the rest and gets the error
		}
		b = binary.BigEndian.AppendUint32(b, uint32(e.Length))
		b = binary.BigEndian.AppendUint32(b, state(e.Kind))
		if n++; n == most {
			break
		}
	}
	putChunk(b, chunkDone, chunkStatus, q.cookie, len(b)-structuredSize)
	c.send(ctx, b)
}

// state returns the flags of an extent.
func state(k image.Kind) uint32 {
	switch k {
	case image.Hole:
		return stateHole | stateZero
	case image.Zero:
		return stateZero
	}
	return 0
}
