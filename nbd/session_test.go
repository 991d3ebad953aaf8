package nbd

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"math/rand/v2"
	"reflect"
	"slices"
	"sync"
	"syscall"
	"testing"

	"github.com/luksimg/luksimg/image"
)

// TestRead reads at many offsets and lengths with all kinds of replies.
func TestRead(t *testing.T) {
	d := newDisk(2<<20 + 77)
	s := serve(t, Options{}, Export{Source: d})
	simple := s.dial(3)
	simple.use("")
	for name, c := range map[string]*client{"simple": simple, "structured": s.open()} {
		for _, off := range []int{0, 1, 511, 4096, 300_000, len(d.data) - 5} {
			for _, n := range []int{0, 1, 4, 512, inlineSize, inlineSize + 1, 70_000, pieceSize, pieceSize + 1, 3*pieceSize + 9} {
				n = min(n, len(d.data)-off)
				if got := c.must(request{command: cmdRead, off: uint64(off), length: uint32(n)}, nil); !bytes.Equal(got, d.data[off:off+n]) {
					t.Errorf("%s: %d bytes at %d differ", name, n, off)
				}
			}
		}
		size := uint64(len(d.data))
		for _, q := range []request{
			{off: size, length: 1}, {off: size - 3, length: 4}, {off: 1<<64 - 1, length: 2}, {off: 1 << 63, length: 1<<32 - 1},
			{length: 1<<32 - 1}, {flags: 1 << 9}, {flags: cmdFlagReqOne, length: 1}, {command: 99}, {command: 5, length: 1},
			{command: cmdBlockStatus, off: size, length: 1},
		} {
			c.refused(errInvalid, q, nil)
		}
		c.refused(errPerm, request{command: cmdWrite, length: 100_000}, make([]byte, 100_000))
		c.refused(errPerm, request{command: cmdWriteZeroes, length: 1}, nil)
		c.refused(errPerm, request{command: cmdTrim, length: 1}, nil)
		c.must(request{command: cmdFlush}, nil)
		c.must(request{command: cmdRead, off: size}, nil)
	}
}

// TestSinglePiece checks reads that must not be split.
func TestSinglePiece(t *testing.T) {
	d := sparse{newDisk(1 << 20)}
	d.extents = []image.Extent{{Offset: 0, Length: 1 << 20, Kind: image.Data}}
	s := serve(t, Options{}, Export{Source: d})
	c := s.open()
	for _, n := range []uint32{1, 64 << 10, pieceSize} {
		q := request{flags: cmdFlagDF, command: cmdRead, off: 3, length: n}
		c.send(q, nil)
		if k := c.chunk(0); !k.done || k.kind != chunkData || !bytes.Equal(k.data[8:], d.data[3:3+n]) {
			t.Errorf("%d bytes: chunk of kind %d, done %v", n, k.kind, k.done)
		}
	}
	c.refused(errOverflow, request{flags: cmdFlagDF, command: cmdRead, length: pieceSize + 1}, nil)
	old := s.dial(3)
	old.use("")
	old.refused(errInvalid, request{flags: cmdFlagDF, command: cmdRead, length: 1}, nil)
}

// TestHoles checks that holes are reported, and that their zeros are not sent.
func TestHoles(t *testing.T) {
	d := sparse{newDisk(1 << 20)}
	d.extents = []image.Extent{
		{Offset: 0, Length: 100_000, Kind: image.Hole}, {Offset: 100_000, Length: 100, Kind: image.Zero},
		{Offset: 100_100, Length: 500_000, Kind: image.Data}, {Offset: 600_100, Length: 200_000, Kind: image.Zero},
		{Offset: 800_100, Length: 1<<20 - 800_100, Kind: image.Data},
	}
	for _, e := range d.extents {
		if e.Kind != image.Data {
			clear(d.data[e.Offset:e.End()])
		}
	}
	c := serve(t, Options{}, Export{Source: d}).open()
	status := func(flags uint16, off, n int) []uint32 {
		b := c.must(request{flags: flags, command: cmdBlockStatus, off: uint64(off), length: uint32(n)}, nil)
		var all []uint32
		for ; len(b) > 0; b = b[4:] {
			all = append(all, binary.BigEndian.Uint32(b))
		}
		return all
	}
	for _, w := range []struct {
		flags  uint16
		off, n int
		want   []uint32
	}{
		{0, 0, 1 << 20, []uint32{contextID, 100_000, 3, 100, 2, 500_000, 0, 200_000, 2, 1<<20 - 800_100, 0}},
		{0, 99_999, 2, []uint32{contextID, 1, 3, 1, 2}},
		{cmdFlagReqOne, 5, 1000, []uint32{contextID, 1000, 3}},
		{cmdFlagReqOne, 5, 1 << 19, []uint32{contextID, 99_995, 3}},
	} {
		if got := status(w.flags, w.off, w.n); !slices.Equal(got, w.want) {
			t.Errorf("status of %d bytes at %d: %d, want %d", w.n, w.off, got, w.want)
		}
	}
	type part struct {
		kind uint16
		off  uint64
		n    int
	}
	for _, w := range []struct {
		off, n int
		want   []part
	}{
		{0, 1 << 20, []part{{chunkHole, 0, 100_000}, {chunkData, 100_000, pieceSize}, {chunkData, 100_000 + pieceSize, 500_100 - pieceSize},
			{chunkHole, 600_100, 200_000}, {chunkData, 800_100, 1<<20 - 800_100}}},
		{10, 70_000, []part{{chunkHole, 10, 70_000}}},
		{600_000, 100_000, []part{{chunkData, 600_000, 100}, {chunkHole, 600_100, 99_900}}},
		{10, 4096, []part{{chunkData, 10, 4096}}}, // too short to look for holes
	} {
		c.send(request{command: cmdRead, off: uint64(w.off), length: uint32(w.n)}, nil)
		var got []part
		for done := false; !done; {
			k := c.chunk(0)
			p := part{k.kind, binary.BigEndian.Uint64(k.data), len(k.data) - 8}
			if k.kind == chunkHole {
				p.n = int(binary.BigEndian.Uint32(k.data[8:]))
			} else if !bytes.Equal(k.data[8:], d.data[p.off:p.off+uint64(p.n)]) {
				t.Errorf("%+v differs", p)
			}
			got, done = append(got, p), k.done
		}
		if !reflect.DeepEqual(got, w.want) {
			t.Errorf("%d bytes at %d: %v, want %v", w.n, w.off, got, w.want)
		}
	}
}

// TestManyExtents checks that a reply is limited, and that the next one continues it.
func TestManyExtents(t *testing.T) {
	d := sparse{newDisk(2 * maxExtents)}
	for i := range 2 * maxExtents {
		d.extents = append(d.extents, image.Extent{Offset: int64(i), Length: 1, Kind: []image.Kind{image.Data, image.Hole}[i%2]})
	}
	c := serve(t, Options{}, Export{Source: d}).open()
	if b := c.must(request{command: cmdBlockStatus, length: 2 * maxExtents}, nil); len(b) != 4+8*maxExtents {
		t.Errorf("%d bytes", len(b))
	}
	d.mu.Lock()
	d.extents, d.fails = d.extents[:3], syscall.EIO
	d.mu.Unlock()
	if b := c.must(request{command: cmdBlockStatus, length: 2 * maxExtents}, nil); len(b) != 4+8*3 {
		t.Errorf("%d bytes", len(b))
	}
	c.refused(errIO, request{command: cmdBlockStatus, off: 3, length: 5}, nil)
}

// TestWrite writes at many offsets and lengths.
func TestWrite(t *testing.T) {
	d := newDisk(2<<20 + 77)
	want := bytes.Clone(d.data)
	s := serve(t, Options{}, Export{Source: d, Target: d})
	rnd := rand.NewChaCha8([32]byte{2})
	simple := s.dial(3)
	simple.use("")
	for _, c := range []*client{simple, s.open()} {
		for _, off := range []int{0, 1, 4096, 300_001, len(want) - 5} {
			for _, n := range []int{0, 1, 512, inlineSize, inlineSize + 1, pieceSize, pieceSize + 1, 3*pieceSize + 9} {
				p := want[off:min(off+n, len(want))]
				rnd.Read(p)
				c.must(request{command: cmdWrite, off: uint64(off), length: uint32(len(p))}, p)
				if !bytes.Equal(d.content(0, len(want)), want) {
					t.Fatalf("%d bytes at %d", n, off)
				}
			}
		}
		n := d.synced()
		c.must(request{flags: cmdFlagFUA, command: cmdWrite, length: 5}, want[:5])
		c.must(request{command: cmdFlush}, nil)
		c.must(request{flags: cmdFlagFUA, command: cmdWriteZeroes}, nil)
		if got := d.synced() - n; got != 3 {
			t.Errorf("%d syncs, want 3", got)
		}
		for _, off := range []int{5, 200_000} {
			clear(want[off : off+150_000])
			c.must(request{command: cmdWriteZeroes, off: uint64(off), length: 150_000}, nil)
		}
		c.refused(errNotSup, request{flags: cmdFlagFastZero, command: cmdWriteZeroes, length: 1}, nil)
		c.refused(errInvalid, request{command: cmdTrim, length: 1}, nil) // the target cannot trim
		c.refused(errInvalid, request{flags: cmdFlagNoHole, command: cmdWrite, length: 10}, want[:10])
		size := uint64(len(want))
		c.refused(errNoSpace, request{command: cmdWrite, off: size - 1, length: 50_000}, make([]byte, 50_000))
		c.refused(errNoSpace, request{command: cmdWrite, off: 1<<64 - 1, length: 2}, make([]byte, 2))
		c.refused(errNoSpace, request{command: cmdWriteZeroes, off: size, length: 1<<32 - 1}, nil)
		if !bytes.Equal(d.content(0, len(want)), want) {
			t.Fatal("a refused request changed the disk, or zeros were not written")
		}
	}
}

// TestPunch checks which requests free storage.
func TestPunch(t *testing.T) {
	d := sparse{newDisk(1 << 20)}
	s := serve(t, Options{}, Export{Source: d, Target: d})
	c := s.open()
	if c.flags&flagSendTrim == 0 {
		t.Errorf("flags %#x", c.flags)
	}
	c.must(request{command: cmdTrim, off: 7, length: 9}, nil)
	c.must(request{flags: cmdFlagFastZero | cmdFlagFUA, command: cmdWriteZeroes, off: 100, length: 1000}, nil)
	c.must(request{flags: cmdFlagNoHole, command: cmdWriteZeroes, off: 200_000, length: 1000}, nil)
	c.must(request{command: cmdTrim}, nil)
	c.refused(errNotSup, request{flags: cmdFlagFastZero | cmdFlagNoHole, command: cmdWriteZeroes, off: 1, length: 1}, nil)
	c.refused(errInvalid, request{command: cmdTrim, off: 1 << 20, length: 1}, nil)
	d.mu.Lock()
	defer d.mu.Unlock()
	if want := []image.Extent{{Offset: 7, Length: 9}, {Offset: 100, Length: 1000}}; !slices.Equal(d.punched, want) {
		t.Errorf("%v, want %v", d.punched, want)
	}
	if !bytes.Equal(d.data[200_000:201_000], make([]byte, 1000)) || d.syncs != 1 {
		t.Errorf("zeros were not written, or %d syncs", d.syncs)
	}
}

// TestCannotPunch checks a target that turns out to be unable to free storage.
func TestCannotPunch(t *testing.T) {
	d := sparse{newDisk(1 << 20)}
	d.fails = errors.ErrUnsupported
	c := serve(t, Options{}, Export{Source: d, Target: d}).open()
	c.must(request{command: cmdTrim, length: 9}, nil) // trim is only a hint
	c.refused(errNotSup, request{flags: cmdFlagFastZero, command: cmdWriteZeroes, length: 1}, nil)
	c.refused(errIO, request{command: cmdWriteZeroes, length: 1}, nil) // the target cannot write either
}

// TestErrors checks that errors of the disk reach the client and Report.
func TestErrors(t *testing.T) {
	for fails, code := range map[error]uint32{
		errors.New("broken"): errIO, syscall.ENOSPC: errNoSpace, syscall.EFBIG: errNoSpace, syscall.EROFS: errPerm, io.EOF: errIO,
	} {
		d := newDisk(1 << 20)
		var mu sync.Mutex
		var told []error
		s := serve(t, Options{Report: func(err error) {
			mu.Lock()
			defer mu.Unlock()
			told = append(told, err)
		}}, Export{Source: d, Target: d})
		simple := s.dial(3)
		simple.use("")
		d.mu.Lock()
		d.fails = fails
		d.mu.Unlock()
		requests := 0
		for _, c := range []*client{simple, s.open()} {
			for _, q := range []request{{length: 9}, {length: 1 << 20}, {command: cmdWrite, length: 9}, {command: cmdWrite, length: pieceSize},
				{command: cmdWriteZeroes, length: 1}, {command: cmdFlush}} {
				var data []byte
				if q.command == cmdWrite {
					data = make([]byte, q.length)
				}
				c.refused(code, q, data)
				requests++
			}
		}
		s.stop()
		if err := <-s.done; !errors.Is(err, fails) {
			t.Errorf("Serve: %v, want %v", err, fails)
		}
		if mu.Lock(); len(told) != requests {
			t.Errorf("%v: %d errors reported for %d requests", fails, len(told), requests)
		}
		mu.Unlock()
	}
}

// TestLateError checks that an error after the start of a simple reply ends the connection.
func TestLateError(t *testing.T) {
	s := serve(t, Options{}, Export{Source: short{newDisk(1 << 20)}})
	c := s.dial(3)
	c.use("")
	c.send(request{command: cmdRead, length: 1 << 20}, nil)
	b, _ := io.ReadAll(c.r)
	if len(b) != simpleSize+pieceSize {
		t.Errorf("%d bytes", len(b))
	}
	c = s.open()
	c.refused(errIO, request{command: cmdRead, length: 1 << 20}, nil)
	c.must(request{command: cmdRead, length: 10}, nil)
}

// A short disk ends after the first piece, before its Size.
type short struct{ *disk }

func (d short) ReadAt(p []byte, off int64) (int, error) {
	return bytes.NewReader(d.data[:pieceSize]).ReadAt(p, off)
}

// TestBadMagic checks that an invalid request ends the connection.
func TestBadMagic(t *testing.T) {
	c := serve(t, Options{}, Export{Source: newDisk(1)}).open()
	c.write(make([]byte, requestSize))
	c.closed()
	d := newDisk(1)
	c = serve(t, Options{}, Export{Source: d, Target: d}).open()
	c.send(request{command: cmdWrite, length: maxRequest + 1}, nil) // too long to skip
	c.closed()
}
