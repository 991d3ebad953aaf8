package compressed

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"

	"github.com/luksimg/luksimg/internal/inflate"
)

// The format is specified in RFC 1952, section 2.3.

// A gzipReader reads concatenated gzip members.
type gzipReader struct {
	in     *inflate.Reader
	part   []byte // decompressed but not read yet
	crc    uint32
	size   uint32 // modulo 2^32, as in the trailer
	any    bool   // at least one member was read
	inside bool   // inside a member
	empty  int    // consecutive empty members
}

func newGzip(b *bufio.Reader) (io.ReadCloser, error) {
	return io.NopCloser(&gzipReader{in: inflate.NewReader(b)}), nil
}

// Read implements [io.Reader].
func (g *gzipReader) Read(p []byte) (int, error) {
	for len(g.part) == 0 {
		if !g.inside {
			if err := g.header(); err != nil {
				return 0, err
			}
			continue
		}
		part, err := g.in.Part()
		if err == io.EOF {
			err = g.trailer()
		}
		if err != nil {
			return 0, err
		}
		g.crc = crc32.Update(g.crc, crc32.IEEETable, part)
		g.size += uint32(len(part))
		g.part = part
	}
	n := copy(p, g.part)
	g.part = g.part[n:]
	return n, nil
}

const (
	flagCRC     = 1 << 1
	flagExtra   = 1 << 2
	flagName    = 1 << 3
	flagComment = 1 << 4

	// maxText bounds the length of a name or a comment. The format has no bound.
	maxText = 64 << 10
)

// header reads the header of the next member. It returns io.EOF at the end of the file. Zeros after a
// member are padding of a medium with blocks; gzip ignores them too.
func (g *gzipReader) header() error {
	first, err := g.in.ReadByte()
	if g.any {
		for err == nil && first == 0 {
			first, err = g.in.ReadByte()
			if err == nil && first != 0 {
				return fmt.Errorf("there are data after the padding of a member")
			}
		}
	}
	if err != nil {
		if err == io.EOF && !g.any {
			err = fmt.Errorf("there is no member")
		}
		return err
	}
	h := headerReader{in: g.in}
	h.sum(first)
	var b [10]byte
	b[0] = first
	h.read(b[1:])
	switch {
	case h.err != nil:
	case b[0] != 0x1f || b[1] != 0x8b:
		return fmt.Errorf("there are other data after a member")
	case b[2] != 8:
		return fmt.Errorf("unknown compression method %d", b[2])
	case b[3]&0xe0 != 0:
		return fmt.Errorf("reserved flags are set")
	}
	if b[3]&flagExtra != 0 {
		var n [2]byte
		h.read(n[:])
		for range binary.LittleEndian.Uint16(n[:]) {
			h.byte()
		}
	}
	for _, flag := range []byte{flagName, flagComment} {
		for n := 0; b[3]&flag != 0 && h.byte() != 0 && h.err == nil; n++ {
			if n == maxText {
				return fmt.Errorf("a name or a comment has more than %d bytes", maxText)
			}
		}
	}
	if b[3]&flagCRC != 0 {
		want := uint16(h.crc)
		var n [2]byte
		h.read(n[:])
		if h.err == nil && binary.LittleEndian.Uint16(n[:]) != want {
			return fmt.Errorf("the header checksum of a member is wrong")
		}
	}
	if h.err != nil {
		return early(h.err)
	}
	g.in.Start()
	g.inside, g.any, g.crc, g.size = true, true, 0, 0
	return nil
}

// trailer verifies the trailer of a member.
func (g *gzipReader) trailer() error {
	var b [8]byte
	h := headerReader{in: g.in}
	h.read(b[:])
	if h.err != nil {
		return early(h.err)
	}
	if crc := binary.LittleEndian.Uint32(b[:]); crc != g.crc {
		return fmt.Errorf("the checksum of a member is %08x, want %08x", g.crc, crc)
	}
	if size := binary.LittleEndian.Uint32(b[4:]); size != g.size {
		return fmt.Errorf("the length of a member is %d modulo 2^32, want %d", g.size, size)
	}
	g.inside = false
	if g.empty++; g.size != 0 {
		g.empty = 0
	}
	if g.empty > maxEmpty {
		return fmt.Errorf("%d consecutive members are empty", g.empty)
	}
	return nil
}

// A headerReader reads headers and trailers, and keeps the first error.
type headerReader struct {
	in  *inflate.Reader
	crc uint32
	err error
}

func (h *headerReader) byte() byte {
	if h.err != nil {
		return 0
	}
	var c byte
	if c, h.err = h.in.ReadByte(); h.err == nil {
		h.sum(c)
	}
	return c
}

func (h *headerReader) sum(c byte) { h.crc = crc32.Update(h.crc, crc32.IEEETable, []byte{c}) }

func (h *headerReader) read(p []byte) {
	for i := range p {
		p[i] = h.byte()
	}
}
