package nbd

import (
	"context"
	"encoding/binary"
	"strings"
	"time"
)

// maxText is the maximum size of an error text for a client in bytes.
const maxText = 1024

// putSimple writes the header of a simple reply to b.
func putSimple(b []byte, code uint32, cookie uint64) {
	binary.BigEndian.PutUint32(b, magicSimple)
	binary.BigEndian.PutUint32(b[4:], code)
	binary.BigEndian.PutUint64(b[8:], cookie)
}

// putChunk writes the header of a chunk with a payload of n bytes to b.
func putChunk(b []byte, flags, kind uint16, cookie uint64, n int) {
	binary.BigEndian.PutUint32(b, magicStructured)
	binary.BigEndian.PutUint16(b[4:], flags)
	binary.BigEndian.PutUint16(b[6:], kind)
	binary.BigEndian.PutUint64(b[8:], cookie)
	binary.BigEndian.PutUint32(b[16:], uint32(n))
}

// doneReply returns the reply to a successful request without data.
func (c *session) doneReply(q request) []byte {
	if c.structured {
		b := make([]byte, structuredSize)
		putChunk(b, chunkDone, chunkNone, q.cookie, 0)
		return b
	}
	b := make([]byte, simpleSize)
	putSimple(b, 0, q.cookie)
	return b
}

// errorReply returns the reply to a failed request.
func (c *session) errorReply(q request, err error) []byte {
	code := errorCode(err)
	if !c.structured {
		b := make([]byte, simpleSize)
		putSimple(b, code, q.cookie)
		return b
	}
	text := err.Error()
	if len(text) > maxText {
		text = text[:maxText]
	}
	text = strings.ToValidUTF8(strings.ReplaceAll(text, "\x00", ""), "")
	b := make([]byte, structuredSize, structuredSize+6+len(text))
	putChunk(b, chunkDone, chunkError, q.cookie, 6+len(text))
	b = binary.BigEndian.AppendUint32(b, code)
	b = binary.BigEndian.AppendUint16(b, uint16(len(text)))
	return append(b, text...)
}

// finish sends the reply to a request without data.
func (c *session) finish(ctx context.Context, q request, err error) {
	if err != nil {
		c.send(ctx, c.errorReply(q, err))
		return
	}
	c.send(ctx, c.doneReply(q))
}

// room returns n bytes of the buffer for replies. The next call of grow adds them to the buffer.
func (c *session) room(ctx context.Context, n int) ([]byte, error) {
	if len(c.out)+n > cap(c.out) {
		if err := c.flush(ctx); err != nil {
			return nil, err
		}
	}
	return c.out[len(c.out) : len(c.out)+n], nil
}

func (c *session) grow(n int) { c.out = c.out[:len(c.out)+n] }

// add appends a small reply to the pending replies of the reading goroutine.
func (c *session) add(ctx context.Context, reply []byte) error {
	b, err := c.room(ctx, len(reply))
	if err == nil {
		c.grow(copy(b, reply))
	}
	return err
}

// flush sends the pending replies of the reading goroutine.
func (c *session) flush(ctx context.Context) error {
	if len(c.out) == 0 {
		return nil
	}
	err := c.send(ctx, c.out)
	c.out = c.out[:0]
	return err
}

// send sends whole messages. If it fails, the connection ends.
func (c *session) send(ctx context.Context, b []byte) error {
	c.sending.Lock()
	defer c.sending.Unlock()
	return c.sendMore(ctx, b)
}

// sendMore is send for a caller that holds the lock.
func (c *session) sendMore(ctx context.Context, b []byte) error {
	now := time.Now()
	// Setting a deadline per message would cost as much as sending a small one.
	if allowed := c.s.o.SendTimeout; c.deadline.Sub(now) < allowed/2 {
		c.deadline = now.Add(allowed)
		c.nc.SetWriteDeadline(c.deadline)
		if ctx.Err() != nil {
			c.nc.SetWriteDeadline(now.Add(grace))
		}
	}
	_, err := c.nc.Write(b)
	if err != nil {
		c.nc.Close()
	}
	return err
}
