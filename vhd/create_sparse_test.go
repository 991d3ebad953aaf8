package vhd

import (
	"bytes"
	"context"
	"errors"
	"iter"
	"sync/atomic"
	"testing"

	"github.com/luksimg/luksimg/image"
)

// TestCreateHuge creates disks of a sparse source of 2040 GiB, which must cost no more than its
// data.
func TestCreateHuge(t *testing.T) {
	src := mostlyHole{2040 << 30, map[int64][]byte{1<<40 + 77: []byte("here"), 2040<<30 - 4: []byte("last")}}
	var done atomic.Int64
	file, r := create(t, src, CreateOptions{Progress: func(n int64) { done.Add(n) }})
	if r.Blocks != 2 || r.FileSize > 9<<20 || done.Load() != 2040<<30 {
		t.Errorf("%+v, progress %d", r, done.Load())
	}
	d := open(t, bytes.NewReader(file), int64(len(file)), Options{})
	for off, want := range src.data {
		got := make([]byte, len(want))
		if _, err := d.ReadAt(got, off); err != nil || !bytes.Equal(got, want) {
			t.Errorf("at %d: %q, %v", off, got, err)
		}
	}
	if len(d.describe().Warnings) != 0 || d.Size() != 2040<<30 {
		t.Errorf("%+v", d.describe())
	}
	for _, opts := range []CreateOptions{{}, {Type: Fixed}} {
		if _, err := Create(context.Background(), &memory{}, mostlyHole{2040<<30 + 1, nil}, opts); !errors.Is(err, image.ErrTooLarge) {
			t.Errorf("a disk of one byte more: %v", err)
		}
	}
	if n, err := CreateSize(2040<<30, first(0), CreateOptions{Type: Fixed}); n != 2040<<30+512 || err != nil {
		t.Errorf("fixed: %d, %v", n, err)
	}
	if n, err := CreateSize(2040<<30, first(1044480), CreateOptions{}); n < 2040<<30 || err != nil {
		t.Errorf("all blocks: %d, %v", n, err)
	}
	if _, err := CreateSize(2040<<30, first(2040<<12), CreateOptions{BlockSize: 256 << 10}); !errors.Is(err, image.ErrTooLarge) {
		t.Errorf("all blocks of 256 KiB: %v", err)
	}
	if _, err := CreateSize(1<<20, first(2), CreateOptions{}); err == nil {
		t.Error("CreateSize accepts more blocks than the disk has")
	}
}

// mostlyHole is a source with a hole around some bytes.
type mostlyHole struct {
	size int64
	data map[int64][]byte
}

func (m mostlyHole) Size() int64 { return m.size }

func (m mostlyHole) ReadAt(p []byte, off int64) (int, error) {
	return (&sparse{size: m.size, parts: m.data}).ReadAt(p, off)
}

func (m mostlyHole) Extents(off, n int64) iter.Seq2[image.Extent, error] {
	return func(yield func(image.Extent, error) bool) {
		for at := range m.data {
			if at == 2040<<30-4 {
				continue
			}
			_ = yield(image.Extent{Length: at, Kind: image.Hole}, nil) &&
				yield(image.Extent{Offset: at, Length: 4}, nil) &&
				yield(image.Extent{Offset: at + 4, Length: m.size - at - 8, Kind: image.Zero}, nil) &&
				yield(image.Extent{Offset: m.size - 4, Length: 4}, nil)
		}
	}
}

// TestCreateIsSparse checks that zeros are skipped, whether or not the source reports them.
func TestCreateIsSparse(t *testing.T) {
	file, r := create(t, bytes.NewReader(make([]byte, 64<<20)), CreateOptions{})
	if r.Blocks != 0 || len(file) > 4096 {
		t.Errorf("%+v", r)
	}
	m := &memory{}
	if _, err := Create(context.Background(), m, bytes.NewReader(make([]byte, 64<<20)), CreateOptions{Type: Fixed}); err != nil || len(m.offs) != 1 {
		t.Errorf("%d writes, %v", len(m.offs), err)
	}
	// In a block with little data, the rest is a hole of the file.
	guest := make([]byte, 2<<20)
	guest[1<<20] = 1
	m = &memory{}
	if _, err := Create(context.Background(), m, bytes.NewReader(guest), CreateOptions{}); err != nil || len(m.offs) != 6 {
		t.Errorf("%d writes, %v", len(m.offs), err)
	}
}
