package nbd

import (
	"context"
	"encoding/binary"
	"iter"

	"github.com/luksimg/luksimg/image"
)

// leastHole is the minimum length of a run of zeros that is sent as a hole. Only reads of at least
// twice this length look for holes.
const leastHole = 32 << 10

// dataHeader is the size of the header in front of the data of a chunk.
const dataHeader = structuredSize + 8

// putData writes the header of a chunk with the n bytes at off to b. last marks the last chunk of
// the reply.
func putData(b []byte, q request, off uint64, n int, last bool) {
	flags := uint16(0)
	if last {
		flags = chunkDone
	}
	putChunk(b, flags, chunkData, q.cookie, 8+n)
	binary.BigEndian.PutUint64(b[structuredSize:], off)
}

// readInline reads into the buffer for replies.
func (c *session) readInline(ctx context.Context, q request) error {
	if q.length == 0 {
		return c.add(ctx, c.doneReply(q))
	}
	head := simpleSize
	if c.structured {
		head = dataHeader
	}
	n := head + int(q.length)
	b, err := c.room(ctx, n)
	if err != nil {
		return err
	}
	if err := c.readAt(b[head:], q.off); err != nil {
		return c.add(ctx, c.errorReply(q, err))
	}
	if c.structured {
		putData(b, q, q.off, int(q.length), true)
	} else {
		putSimple(b, 0, q.cookie)
	}
	c.grow(n)
	return nil
}

// read answers a read of any length, in pieces.
func (c *session) read(ctx context.Context, q request) {
	buf, put := c.get()
	defer put()
	switch {
	case q.length == 0:
		c.finish(ctx, q, nil)
	case !c.structured:
		c.readSimple(ctx, q, buf)
	case q.flags&cmdFlagDF != 0 && int(q.length) > len(buf)-headroom:
		c.finish(ctx, q, errFragmented)
	default:
		c.readChunks(ctx, q, buf)
	}
}

// readSimple sends a simple reply. An error after the first piece cannot be reported, so it ends
// the connection.
func (c *session) readSimple(ctx context.Context, q request, buf []byte) {
	off := q.off
	n := int(min(uint64(len(buf)-headroom), q.end()-off))
	if err := c.readAt(buf[headroom:headroom+n], off); err != nil {
		c.finish(ctx, q, err)
		return
	}
	start := headroom - simpleSize
	putSimple(buf[start:], 0, q.cookie)
	c.sending.Lock()
	defer c.sending.Unlock()
	for {
		if c.sendMore(ctx, buf[start:headroom+n]) != nil {
			return
		}
		if off += uint64(n); off == q.end() {
			return
		}
		start, n = headroom, int(min(uint64(len(buf)-headroom), q.end()-off))
		if c.readAt(buf[headroom:headroom+n], off) != nil {
			c.nc.Close()
			return
		}
	}
}

// readChunks sends a structured reply with holes, which carry no data.
func (c *session) readChunks(ctx context.Context, q request, buf []byte) {
	for part := range c.parts(ctx, q) {
		off, end := uint64(part.Offset), uint64(part.End())
		if part.Kind != image.Data {
			if c.sendHole(ctx, q, off, end) != nil {
				return
			}
			continue
		}
		for off < end {
			n := int(min(uint64(len(buf)-headroom), end-off))
			if err := c.readAt(buf[headroom:headroom+n], off); err != nil {
				c.finish(ctx, q, err)
				return
			}
			putData(buf[headroom-dataHeader:], q, off, n, off+uint64(n) == q.end())
			if c.send(ctx, buf[headroom-dataHeader:headroom+n]) != nil {
				return
			}
			off += uint64(n)
		}
	}
}

func (c *session) sendHole(ctx context.Context, q request, off, end uint64) error {
	b := make([]byte, structuredSize, structuredSize+12)
	flags := uint16(0)
	if end == q.end() {
		flags = chunkDone
	}
	putChunk(b, flags, chunkHole, q.cookie, 12)
	b = binary.BigEndian.AppendUint64(b, off)
	return c.send(ctx, binary.BigEndian.AppendUint32(b, uint32(end-off)))
}

// parts yields the parts of a nonempty read: data, and holes that are long enough.
func (c *session) parts(ctx context.Context, q request) iter.Seq[image.Extent] {
	return func(yield func(image.Extent) bool) {
		end := int64(q.end())
		data := image.Extent{Offset: int64(q.off)}
		if c.holes && q.flags&cmdFlagDF == 0 && q.length >= 2*leastHole {
			for e, err := range image.ExtentsContext(ctx, c.e.Source, data.Offset, end-data.Offset) {
				if err != nil {
					break // reading reports the error
				}
				if e.Kind == image.Data || e.Length < leastHole {
					continue
				}
				data.Length = e.Offset - data.Offset
				if data.Length > 0 && !yield(data) || !yield(e) {
					return
				}
				data.Offset = e.End()
			}
		}
		if data.Length = end - data.Offset; data.Length > 0 {
			yield(data)
		}
	}
}
