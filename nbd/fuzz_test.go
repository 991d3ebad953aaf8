package nbd

import (
	"bytes"
	"context"
	"encoding/binary"
	"io"
	"net"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/luksimg/luksimg/image"
)

// fuzzServer has one export of each kind.
func fuzzServer(f *testing.F) *Server {
	ro, rw := sparse{newDisk(300_000)}, sparse{newDisk(300_000)}
	ro.extents = []image.Extent{{Offset: 0, Length: 100_000, Kind: image.Hole}, {Offset: 100_000, Length: 200_000, Kind: image.Data}}
	clear(ro.data[:100_000])
	rw.extents = []image.Extent{{Offset: 0, Length: 300_000, Kind: image.Data}}
	s, err := NewServer(Options{Memory: bufferSize, HandshakeTimeout: time.Minute}, Export{Source: ro}, Export{Name: "rw", Source: rw, Target: rw})
	if err != nil {
		f.Fatal(err)
	}
	return s
}

// A script is a connection from a client that sends fixed bytes and disconnects.
type script struct {
	io.Reader
	told atomic.Int64 // number of bytes received
}

func (s *script) Write(p []byte) (int, error) {
	s.told.Add(int64(len(p)))
	return len(p), nil
}

func (*script) Close() error                     { return nil }
func (*script) LocalAddr() net.Addr              { return nil }
func (*script) RemoteAddr() net.Addr             { return nil }
func (*script) SetDeadline(time.Time) error      { return nil }
func (*script) SetReadDeadline(time.Time) error  { return nil }
func (*script) SetWriteDeadline(time.Time) error { return nil }

// talk serves a client that sends b.
func talk(t *testing.T, s *Server, b []byte) {
	c := &script{Reader: bytes.NewReader(b)}
	s.serve(context.Background(), c, &users{})
	// A request of 28 bytes is answered with at most the whole disk.
	if n := c.told.Load(); n > 20_000+int64(len(b)/requestSize)*301_000 {
		t.Errorf("the server answered %d bytes with %d", len(b), n)
	}
	if s.buffers.made != len(s.buffers.free) {
		t.Errorf("%d buffers, %d of them free", s.buffers.made, len(s.buffers.free))
	}
}

func rawOption(option uint32, parts ...[]byte) []byte {
	data := slices.Concat(parts...)
	return slices.Concat([]byte("IHAVEOPT"), u32(option), u32(uint32(len(data))), data)
}

func rawRequest(q request, data ...byte) []byte {
	b := u32(magicRequest)
	b = binary.BigEndian.AppendUint16(b, q.flags)
	b = binary.BigEndian.AppendUint16(b, q.command)
	b = binary.BigEndian.AppendUint64(b, q.cookie)
	b = binary.BigEndian.AppendUint64(b, q.off)
	b = binary.BigEndian.AppendUint32(b, q.length)
	return append(b, data...)
}

func FuzzHandshake(f *testing.F) {
	s := fuzzServer(f)
	for _, options := range [][][]byte{
		{rawOption(optList), rawOption(optAbort)},
		{rawOption(optStructuredReply), rawOption(optSetMeta, text("rw"), u32(2), text("base:"), text(contextAllocation)), rawOption(optGo, text("rw"), u16(1), u16(infoBlockSize))},
		{rawOption(optListMeta, text(""), u32(0)), rawOption(optInfo, text("none"), u16(0)), rawOption(optStartTLS), rawOption(optExportName, []byte("rw"))},
		{rawOption(11), rawOption(optGo, text("rw"), u16(2), u16(0), u16(9)), rawRequest(request{length: 512})},
	} {
		f.Add(append(u32(3), slices.Concat(options...)...))
	}
	f.Add([]byte("\x00\x00\x00\x01GET / HTTP/1.1\r\n\r\n"))
	f.Fuzz(func(t *testing.T, b []byte) { talk(t, s, b) })
}

// FuzzRequests fuzzes a client after the handshake, for either export.
func FuzzRequests(f *testing.F) {
	s := fuzzServer(f)
	for _, requests := range [][][]byte{
		{rawRequest(request{length: 100_000}), rawRequest(request{off: 99_000, length: 200_000}), rawRequest(request{command: cmdDisconnect})},
		{rawRequest(request{command: cmdWrite, off: 5, length: 3}, 1, 2, 3), rawRequest(request{flags: cmdFlagFUA, command: cmdWrite, length: 40_000}, make([]byte, 40_000)...), rawRequest(request{command: cmdFlush})},
		{rawRequest(request{command: cmdBlockStatus, off: 1, length: 299_999}), rawRequest(request{flags: cmdFlagReqOne, command: cmdBlockStatus, length: 1})},
		{rawRequest(request{command: cmdTrim, off: 9, length: 1000}), rawRequest(request{flags: cmdFlagNoHole, command: cmdWriteZeroes, length: 300_000}), rawRequest(request{off: 1<<64 - 1, length: 1<<32 - 1})},
		{rawRequest(request{command: cmdWrite, off: 299_999, length: 3}, 1, 2, 3), rawRequest(request{command: 9}), rawRequest(request{command: cmdWrite, length: 50_000}, 1)},
	} {
		for _, writable := range []bool{false, true} {
			f.Add(writable, true, slices.Concat(requests...))
		}
		f.Add(true, false, slices.Concat(requests...))
	}
	f.Fuzz(func(t *testing.T, writable, structured bool, b []byte) {
		name := ""
		if writable {
			name = "rw"
		}
		hello := u32(3)
		if structured {
			hello = append(hello, rawOption(optStructuredReply)...)
			hello = append(hello, rawOption(optSetMeta, text(name), u32(1), text(contextAllocation))...)
		}
		talk(t, s, slices.Concat(hello, rawOption(optGo, text(name), u16(0)), b))
	})
}
