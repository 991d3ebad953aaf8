package vmdk

import (
	"bytes"
	"context"
	"errors"
	"io"
	"iter"
	"slices"
	"testing"

	"github.com/luksimg/luksimg/image"
)

// A holed file consists of parts in order, with holes between them. It counts the calls of its methods, and
// calls each for every one.
type holed struct {
	size  int64
	parts []part
	asked int
	each  func()
}

type part struct {
	off int64
	b   []byte
}

func (f *holed) Size() int64 { return f.size }

func (f *holed) ReadAt(p []byte, off int64) (int, error) {
	f.count()
	n := int(max(min(int64(len(p)), f.size-off), 0))
	clear(p[:n])
	for _, x := range f.parts {
		if from, to := max(x.off, off), min(x.off+int64(len(x.b)), off+int64(n)); from < to {
			copy(p[from-off:to-off], x.b[from-x.off:])
		}
	}
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

func (f *holed) Extents(off, n int64) iter.Seq2[image.Extent, error] {
	return func(yield func(image.Extent, error) bool) {
		for end := off + n; off < end; {
			f.count()
			e := image.Extent{Offset: off, Length: end - off, Kind: image.Hole}
			for _, x := range f.parts {
				if stop := x.off + int64(len(x.b)); off < stop {
					if e.Length = min(x.off, end) - off; off >= x.off {
						e.Length, e.Kind = min(stop, end)-off, image.Data
					}
					break
				}
			}
			if !yield(e, nil) {
				return
			}
			off = e.End()
		}
	}
}

func (f *holed) count() {
	f.asked++
	if f.each != nil {
		f.each()
	}
}

// huge returns the file of a 16 TiB disk with one grain. The file has the maximum length, 2^19 grain tables and
// as many redundant ones. All tables without the grain lie in holes.
func huge() *holed {
	const (
		sectors = 1 << 35
		tables  = sectors >> (7 + 9)
		one     = tables - 1000 // the table with the grain
	)
	m := img{sectors: sectors, redundant: true}
	m.defaults()
	w := &layout{redundant: 1 << 20, directory: 4 << 20, file: make([]byte, (1+descriptorSectors)*sectorSize)}
	first, second := int64(1<<30), int64(4<<30)
	m.putHeader(w, 0, 8<<30)
	copy(w.file[sectorSize:], m.text("disk.vmdk", "SPARSE"))
	directory := func(table int64) []byte {
		var b []byte
		for range tables {
			b = le.AppendUint32(b, uint32(table/sectorSize))
			table += 512 * 4
		}
		return b
	}
	grain := int64(1 << 40)
	table := make([]byte, 512*4)
	le.PutUint32(table[4*7:], uint32(grain/sectorSize))
	return &holed{size: 1<<63 - 1<<20, parts: []part{
		{0, w.file}, {w.redundant, directory(second)}, {w.directory, directory(first)},
		{first + one*512*4, table}, {second + one*512*4, table}, {grain, bytes.Repeat([]byte{1}, 64<<10)},
	}}
}

// TestHuge checks that the cost of an operation depends on the tables that the file has space for.
func TestHuge(t *testing.T) {
	f := huge()
	asked := func(what string, most int) {
		t.Helper()
		if f.asked > most {
			t.Errorf("%s: %d accesses to the file, want at most %d", what, f.asked, most)
		}
		f.asked = 0
	}
	d, err := Open(context.Background(), f, f.size, Options{})
	if err != nil {
		t.Fatal(err)
	}
	asked("Open", 200) // for two directories of 2 MiB
	i, err := d.Info(t.Context())
	if err != nil || i.AllocatedBytes != 64<<10 {
		t.Errorf("Info: %d bytes, %v", i.AllocatedBytes, err)
	}
	asked("Info", 10)
	var all []image.Extent
	for e, err := range image.Extents(d, 0, d.Size()) {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, e)
	}
	at := int64((1<<19-1000)*512+7) << 16
	if want := []image.Extent{{Length: at, Kind: image.Hole}, {Offset: at, Length: 64 << 10}, {Offset: at + 64<<10, Length: d.Size() - at - 64<<10, Kind: image.Hole}}; !slices.Equal(all, want) {
		t.Errorf("Extents: %v, want %v", all, want)
	}
	asked("Extents", 10)
	r, err := d.Check(t.Context())
	if err != nil || r.Corruptions != 0 || r.AllocatedGrains != 1 || r.TotalGrains != 1<<28 {
		t.Errorf("Check: %+v, %v", r, err)
	}
	asked("Check", 200) // in two windows
}

// TestHugeCancel cancels each operation at its first access to the file. It must be the last.
func TestHugeCancel(t *testing.T) {
	f := huge()
	d, err := Open(context.Background(), f, f.size, Options{})
	if err != nil {
		t.Fatal(err)
	}
	for name, job := range map[string]func(context.Context) error{
		"Check": func(ctx context.Context) error { _, err := d.Check(ctx); return err },
		"Info":  func(ctx context.Context) error { _, err := d.Info(ctx); return err },
	} {
		cause := errors.New("enough")
		ctx, cancel := context.WithCancelCause(t.Context())
		d.pages.Hole(&d.extents[0].file, f.size, 0, 1) // discard the cached holes of the file
		f.asked, f.each = 0, func() { cancel(cause) }
		if err := job(ctx); !errors.Is(err, cause) || f.asked > 2 {
			t.Errorf("%s: %v after %d accesses to the file", name, err, f.asked)
		}
		f.each = nil
	}
	// A directory without tables is not scanned once per part of the file.
	f.parts = f.parts[:1]
	if d, err = Open(context.Background(), f, f.size, Options{}); err != nil {
		t.Fatal(err)
	}
	cause := errors.New("enough")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(cause)
	if _, err := d.Check(ctx); !errors.Is(err, cause) {
		t.Errorf("empty: %v", err)
	}
}
