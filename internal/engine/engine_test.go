package engine

import (
	"bytes"
	"io"
	"iter"
	"runtime"
	"slices"
	"testing"

	"github.com/luksimg/luksimg/image"
)

// TestUnits sets units that are far apart. The memory must depend on their number.
func TestUnits(t *testing.T) {
	want := []int64{0, 1, 63, 64, pageUnits - 1, pageUnits, 1 << 30, 1<<35 - 1}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	var u Units
	for _, i := range []int{3, 7, 0, 5, 1, 6, 2, 4, 3} {
		u.set(want[i])
	}
	runtime.ReadMemStats(&after)
	if n := after.TotalAlloc - before.TotalAlloc; n > 1<<20 {
		t.Errorf("%d units took %d bytes", len(want), n)
	}
	if got := slices.Collect(u.All()); !slices.Equal(got, want) {
		t.Errorf("%d, want %d", got, want)
	}
	if n := u.Len(); n != int64(len(want)) {
		t.Errorf("%d units, want %d", n, len(want))
	}
	for i := range u.All() { // stop early
		if i != 0 {
			t.Errorf("unit %d first", i)
		}
		break
	}
}

// A hole is a disk of zeros of the given size.
type hole int64

func (h hole) Size() int64 { return int64(h) }

func (h hole) ReadAt(p []byte, off int64) (int, error) {
	n := max(0, min(int64(len(p)), int64(h)-off))
	clear(p[:n])
	if n < int64(len(p)) {
		return int(n), io.EOF
	}
	return int(n), nil
}

func (hole) Extents(off, n int64) iter.Seq2[image.Extent, error] {
	return func(yield func(image.Extent, error) bool) {
		yield(image.Extent{Offset: off, Length: n, Kind: image.Hole}, nil)
	}
}

// TestHoles compares disks of which one knows zeros where the other has data. A hole must equal zeros
// that are read.
func TestHoles(t *testing.T) {
	const size = 3 * unit
	zeros := make([]byte, size)
	data := bytes.Clone(zeros)
	data[2*unit+5] = 1
	holes := hole(size)
	for name, c := range map[string]struct {
		src, other image.Source
		want       int64 // -1 means no difference
	}{
		"hole, zeros": {holes, bytes.NewReader(zeros), -1},
		"hole, data":  {holes, bytes.NewReader(data), 2*unit + 5},
		"zeros, hole": {bytes.NewReader(zeros), holes, -1},
		"data, hole":  {bytes.NewReader(data), holes, 2*unit + 5},
		"hole, hole":  {holes, holes, -1},
	} {
		got, err := Comparison{Source: c.src, Other: c.other, Workers: Workers{2, func(int64) {}}}.Run(t.Context())
		if err != nil || got != c.want {
			t.Errorf("%s: %d, %v, want %d", name, got, err, c.want)
		}
	}
}

func TestLongPieces(t *testing.T) {
	for _, c := range [][2]int64{{1, 1 << 20}, {16, 1 << 20}, {17, 512 << 10}, {32, 512 << 10}, {64, 256 << 10}, {1000, 256 << 10}} {
		if got := longPieces(int(c[0])); got != c[1] {
			t.Errorf("%d workers: %d bytes, want %d", c[0], got, c[1])
		}
	}
}
