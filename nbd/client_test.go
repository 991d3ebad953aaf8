package nbd

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"io"
	"iter"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"github.com/luksimg/luksimg/image"
)

// A disk is an export in memory. Its holes read as zeros.
type disk struct {
	mu      sync.Mutex
	data    []byte
	extents []image.Extent
	syncs   int
	punched []image.Extent
	fails   error // error of all calls
	started chan struct{}
	wait    chan struct{} // reads wait for it
}

func newDisk(size int) *disk {
	d := &disk{data: make([]byte, size)}
	rand.NewChaCha8([32]byte{1}).Read(d.data)
	return d
}

func (d *disk) Size() int64 { return int64(len(d.data)) }

func (d *disk) ReadAt(p []byte, off int64) (int, error) {
	if d.wait != nil {
		d.started <- struct{}{}
		<-d.wait
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.fails != nil {
		return 0, d.fails
	}
	return bytes.NewReader(d.data).ReadAt(p, off)
}

func (d *disk) WriteAt(p []byte, off int64) (int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.fails != nil {
		return 0, d.fails
	}
	return copy(d.data[off:], p), nil
}

func (d *disk) Sync() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.syncs++
	return d.fails
}

func (d *disk) content(off, n int) []byte {
	d.mu.Lock()
	defer d.mu.Unlock()
	return bytes.Clone(d.data[off : off+n])
}

func (d *disk) synced() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.syncs
}

// A sparse disk reports its holes and can punch new ones.
type sparse struct{ *disk }

func (d sparse) Extents(off, n int64) iter.Seq2[image.Extent, error] {
	return func(yield func(image.Extent, error) bool) {
		for _, e := range d.extents {
			start, end := max(e.Offset, off), min(e.End(), off+n)
			if start < end && !yield(image.Extent{Offset: start, Length: end - start, Kind: e.Kind}, nil) {
				return
			}
		}
		if d.fails != nil {
			yield(image.Extent{}, d.fails)
		}
	}
}

func (d sparse) Punch(off, n int64) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.punched = append(d.punched, image.Extent{Offset: off, Length: n})
	clear(d.data[off : off+n])
	return d.fails
}

// A served is a running server.
type served struct {
	*Server
	t    *testing.T
	addr string
	stop func()     // shuts the server down
	done chan error // the result of Serve
}

func serve(t *testing.T, o Options, exports ...Export) *served {
	t.Helper()
	s, err := NewServer(o, exports...)
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "nbd") // socket names must be short
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("unix", filepath.Join(dir, "s"))
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	ended := make(chan struct{})
	go func() {
		done <- s.Serve(ctx, l)
		close(ended)
	}()
	t.Cleanup(func() {
		stop()
		<-ended
		os.RemoveAll(dir)
	})
	return &served{s, t, l.Addr().String(), stop, done}
}

// A client is a minimal client. Any error ends the test.
type client struct {
	t          *testing.T
	nc         net.Conn
	r          *bufio.Reader
	structured bool
	size       uint64
	flags      uint16
}

// dial connects with the given client flags.
func (s *served) dial(flags uint32) *client {
	s.t.Helper()
	nc, err := net.Dial("unix", s.addr)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { nc.Close() })
	c := &client{t: s.t, nc: nc, r: bufio.NewReader(nc)}
	if b := c.read(18); string(b) != "NBDMAGICIHAVEOPT\x00\x03" {
		s.t.Fatalf("greeting %q", b)
	}
	c.write(binary.BigEndian.AppendUint32(nil, flags))
	return c
}

// open uses the default export with structured replies and the block status.
func (s *served) open() *client {
	s.t.Helper()
	c := s.dial(3)
	c.mustOption(optStructuredReply, nil)
	c.structured = true
	c.mustOption(optSetMeta, text(""), u32(1), text(contextAllocation))
	c.use("")
	return c
}

func (c *client) write(b []byte) {
	c.t.Helper()
	if _, err := c.nc.Write(b); err != nil {
		c.t.Fatal(err)
	}
}

func (c *client) read(n int) []byte {
	c.t.Helper()
	b := make([]byte, n)
	if _, err := io.ReadFull(c.r, b); err != nil {
		c.t.Fatal(err)
	}
	return b
}

// closed checks that the server ends the connection.
func (c *client) closed() {
	c.t.Helper()
	if b, err := c.r.ReadByte(); err == nil {
		c.t.Fatalf("the server continued with %#x", b)
	}
}

func u16(n uint16) []byte { return binary.BigEndian.AppendUint16(nil, n) }
func u32(n uint32) []byte { return binary.BigEndian.AppendUint32(nil, n) }

func text(s string) []byte { return append(u32(uint32(len(s))), s...) }

// An answer is a reply to an option.
type answer struct {
	kind uint32
	data []byte
}

func (c *client) sendOption(option uint32, parts ...[]byte) {
	c.t.Helper()
	data := slices.Concat(parts...)
	c.write(slices.Concat([]byte("IHAVEOPT"), u32(option), u32(uint32(len(data))), data))
}

// option sends an option and returns the replies to the last one.
func (c *client) option(option uint32, parts ...[]byte) []answer {
	c.t.Helper()
	c.sendOption(option, parts...)
	var all []answer
	for {
		h := c.read(20)
		if binary.BigEndian.Uint64(h) != magicReply || binary.BigEndian.Uint32(h[8:]) != option {
			c.t.Fatalf("reply %x", h)
		}
		a := answer{binary.BigEndian.Uint32(h[12:]), c.read(int(binary.BigEndian.Uint32(h[16:])))}
		all = append(all, a)
		if a.kind == repAck || a.kind&repError != 0 {
			return all
		}
	}
}

func (c *client) mustOption(option uint32, parts ...[]byte) []answer {
	c.t.Helper()
	all := c.option(option, parts...)
	if last := all[len(all)-1]; last.kind != repAck {
		c.t.Fatalf("option %d: reply %#x, %q", option, last.kind, last.data)
	}
	return all
}

// use enters transmission for an export.
func (c *client) use(name string) {
	c.t.Helper()
	for _, a := range c.mustOption(optGo, text(name), u16(0)) {
		if a.kind == repInfo && binary.BigEndian.Uint16(a.data) == infoExport {
			c.size, c.flags = binary.BigEndian.Uint64(a.data[2:]), binary.BigEndian.Uint16(a.data[10:])
		}
	}
}

func (c *client) send(q request, data []byte) {
	c.t.Helper()
	b := u32(magicRequest)
	b = binary.BigEndian.AppendUint16(b, q.flags)
	b = binary.BigEndian.AppendUint16(b, q.command)
	b = binary.BigEndian.AppendUint64(b, q.cookie)
	b = binary.BigEndian.AppendUint64(b, q.off)
	b = binary.BigEndian.AppendUint32(b, q.length)
	c.write(append(b, data...))
}

// A chunk is a part of a structured reply, or a simple reply.
type chunk struct {
	cookie uint64
	done   bool
	kind   uint16
	code   uint32 // error code
	data   []byte // the payload
}

// chunk reads the next chunk. The data of a simple reply has length n.
func (c *client) chunk(n uint32) chunk {
	c.t.Helper()
	switch magic := binary.BigEndian.Uint32(c.read(4)); {
	case magic == magicSimple && !c.structured:
		h := c.read(12)
		k := chunk{cookie: binary.BigEndian.Uint64(h[4:]), done: true, code: binary.BigEndian.Uint32(h)}
		if k.code == 0 {
			k.data = c.read(int(n))
		}
		return k
	case magic != magicStructured || !c.structured:
		c.t.Fatalf("a reply begins with %#x", magic)
	}
	h := c.read(16)
	k := chunk{cookie: binary.BigEndian.Uint64(h[4:]), done: h[1]&chunkDone != 0, kind: binary.BigEndian.Uint16(h[2:])}
	k.data = c.read(int(binary.BigEndian.Uint32(h[12:])))
	if k.kind == chunkError {
		k.code = binary.BigEndian.Uint32(k.data)
	}
	return k
}

// do sends a request and returns the data that it reads, or its error.
func (c *client) do(q request, data []byte) ([]byte, uint32) {
	c.t.Helper()
	q.cookie = rand.Uint64()
	c.send(q, data)
	var got []byte
	if q.command == cmdRead && q.length <= maxRequest {
		got = make([]byte, q.length)
	}
	covered := 0
	for {
		k := c.chunk(uint32(len(got)))
		if k.cookie != q.cookie {
			c.t.Fatalf("cookie %x, want %x", k.cookie, q.cookie)
		}
		switch {
		case k.code != 0:
			return nil, k.code
		case !c.structured:
			return k.data, 0
		case k.kind == chunkData:
			off := int(binary.BigEndian.Uint64(k.data) - q.off)
			covered += copy(got[off:], k.data[8:])
		case k.kind == chunkHole:
			covered += int(binary.BigEndian.Uint32(k.data[8:]))
		case k.kind == chunkStatus:
			got = k.data
		}
		if k.done {
			if q.command == cmdRead && covered != int(q.length) {
				c.t.Fatalf("the chunks cover %d bytes of %d", covered, q.length)
			}
			return got, 0
		}
	}
}

// must is do for a request that must succeed.
func (c *client) must(q request, data []byte) []byte {
	c.t.Helper()
	b, code := c.do(q, data)
	if code != 0 {
		c.t.Fatalf("%+v: error %d", q, code)
	}
	return b
}

// refused checks the error code of a request.
func (c *client) refused(code uint32, q request, data []byte) {
	c.t.Helper()
	if _, got := c.do(q, data); got != code {
		c.t.Errorf("%+v: error %d, want %d", q, got, code)
	}
}
