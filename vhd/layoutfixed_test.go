package vhd

import (
	"bytes"
	"io"
	"iter"
	"maps"
	"slices"
	"sync/atomic"
	"testing"

	"github.com/luksimg/luksimg/image"
)

// dataOnly is a disk of holes and some data. Reads far from the data fail the test.
type dataOnly struct {
	sparse
	t *testing.T
}

func (d dataOnly) ReadAt(p []byte, off int64) (int, error) {
	for at := range d.parts {
		if off/fixedStretch == at/fixedStretch {
			return d.sparse.ReadAt(p, off)
		}
	}
	d.t.Errorf("read %d bytes of a hole at %d", len(p), off)
	return 0, io.ErrUnexpectedEOF
}

func (d dataOnly) Size() int64 { return d.size }

func (d dataOnly) Extents(off, n int64) iter.Seq2[image.Extent, error] {
	return func(yield func(image.Extent, error) bool) {
		at, end := off, off+n
		for _, data := range slices.Sorted(maps.Keys(d.parts)) {
			from, to := max(at, data), min(end, data+int64(len(d.parts[data])))
			if from >= to {
				continue
			}
			if from > at && !yield(image.Extent{Offset: at, Length: from - at, Kind: image.Hole}, nil) {
				return
			}
			if !yield(image.Extent{Offset: from, Length: to - from}, nil) {
				return
			}
			at = to
		}
		if at < end {
			yield(image.Extent{Offset: at, Length: end - at, Kind: image.Hole}, nil)
		}
	}
}

// TestFixedLayout writes parts of a disk of 2040 GiB and checks that its holes are not read.
func TestFixedLayout(t *testing.T) {
	src := dataOnly{sparse{size: 2040<<30 - 1000, parts: map[int64][]byte{1<<40 + 77: []byte("here"), 2040<<30 - 1004: []byte("last")}}, t}
	id, err := NewIdentity(nil)
	if err != nil {
		t.Fatal(err)
	}
	l, err := NewFixedLayout(src.Size(), id)
	if err != nil || l.VirtualSize() != 2040<<30 || l.Size() != 2040<<30+512 {
		t.Fatalf("%+v, %v", l, err)
	}
	var done atomic.Int64
	part := func(from, to int64) []byte {
		t.Helper()
		b := make([]byte, to-from)
		if err := l.WriteRange(t.Context(), window{b, from}, src, from, to, 2, func(n int64) { done.Add(n) }); err != nil {
			t.Fatal(err)
		}
		return b
	}
	for _, off := range []int64{1 << 40, 1<<40 + 77, 1<<40 + 80} { // also from the middle of the data
		got, want := part(off, off+200), make([]byte, 200)
		if _, err := src.ReadAt(want, off); err != nil || !bytes.Equal(got, want) {
			t.Errorf("at %d: %q, %v", off, got, err)
		}
	}
	got := part(l.Size()-512-1004, l.Size())
	if want := append(append([]byte("last"), make([]byte, 1000)...), l.Footer()...); !bytes.Equal(got, want) {
		t.Errorf("the end is %q", got)
	}
	done.Store(0)
	if got := part(1000<<30, 1000<<30+3<<20); !bytes.Equal(got, make([]byte, len(got))) || done.Load() != 3<<20 {
		t.Errorf("a hole is not zeros, or progress is %d bytes", done.Load())
	}
	if got := part(l.Size()-100, l.Size()); !bytes.Equal(got, l.Footer()[412:]) {
		t.Error("the end of the footer differs")
	}
	d := open(t, footerOnly{l}, l.Size(), Options{})
	if v := d.describe(); v.Type != "fixed" || v.VirtualSize != l.VirtualSize() || v.Encrypted {
		t.Errorf("%+v", v)
	}
	for _, bad := range []Identity{{}, {UniqueID: id.UniqueID}, {Timestamp: id.Timestamp}} {
		if _, err := NewFixedLayout(1, bad); err == nil {
			t.Errorf("NewFixedLayout accepts %+v", bad)
		}
	}
	if _, err := NewFixedLayout(2040<<30+1, id); err == nil {
		t.Error("NewFixedLayout accepts a disk that is too large")
	}
}

// footerOnly is the file of a layout whose disk is all zeros.
type footerOnly struct{ l *FixedLayout }

func (f footerOnly) ReadAt(p []byte, off int64) (int, error) {
	clear(p)
	window{p, off}.WriteAt(f.l.Footer(), f.l.VirtualSize())
	return image.ReadFull(bytes.NewReader(p), p, 0)
}
