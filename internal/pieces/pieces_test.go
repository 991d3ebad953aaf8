package pieces

import (
	"context"
	"errors"
	"iter"
	"reflect"
	"strings"
	"testing"

	"github.com/luksimg/luksimg/image"
)

const pieceSize = 256 << 10

// kinds is a source with one letter for each part of pieceSize/2 bytes: data (d), hole (h) or zero (z).
// It has no bytes.
type kinds string

func (k kinds) Size() int64                           { return int64(len(k)) * pieceSize / 2 }
func (k kinds) ReadAt(p []byte, _ int64) (int, error) { return len(p), nil }
func (k kinds) Extents(off, n int64) iter.Seq2[image.Extent, error] {
	return func(yield func(image.Extent, error) bool) {
		for off, end := off, off+n; off < end; {
			next := min(off-off%(pieceSize/2)+pieceSize/2, end)
			kind := map[byte]image.Kind{'d': image.Data, 'h': image.Hole, 'z': image.Zero}[k[off/(pieceSize/2)]]
			if !yield(image.Extent{Offset: off, Length: next - off, Kind: kind}, nil) {
				return
			}
			off = next
		}
	}
}

// TestPieces splits disks of all kinds. The pieces must cover all bytes in order, and be as few as the
// rules allow.
func TestPieces(t *testing.T) {
	const size = 4 * pieceSize
	for _, k := range []kinds{"", "d", "h", "dd", "ddddddddd", "hzhzhzhzhzhzhzhzhzhz", "ddddddddddddddd", "hhhhhhhhdddddddd", "ddhhddhh", "dhhhhd", "hddh", "ddddzzzzzzdddd",
		"ddddddhhhhhhhhhhzd", "hhhhhhhhhhhhhhhhhhhhhhhd"} {
		for _, past := range []int64{0, 1, pieceSize, 10*pieceSize + 5} { // past the end of the source
			end := k.Size() + past
			isZero := func(off int64) bool { // for the unit of pieceSize at off
				i := int(off / (pieceSize / 2))
				return !strings.Contains(string(k[min(i, len(k)):min(i+2, len(k))]), "d")
			}
			for name, c := range map[string]struct {
				cut   Cut
				data  int64 // maximal length of a piece, and the boundary that it does not cross
				zeros int64 // the same for a run of zeros; 0 for any length
			}{
				"pieces":      {Cut{Unit: pieceSize, Most: pieceSize}, pieceSize, 0},
				"joined":      {Cut{Unit: pieceSize, Most: size}, size, 0},
				"dense":       {Cut{Unit: pieceSize, Most: size, Dense: true}, size, size},
				"dense units": {Cut{Unit: pieceSize, Most: pieceSize, Dense: true}, pieceSize, pieceSize},
			} {
				var next, disk int64
				var last Piece
				for p, err := range c.cut.Pieces(t.Context(), k, 0, end) {
					if err != nil {
						t.Fatal(err)
					}
					most := c.data
					if p.Zero {
						most = c.zeros
					}
					if p.Offset != next || p.Length <= 0 || p.Offset%pieceSize != 0 || most > 0 && p.Offset/most != (p.End()-1)/most {
						t.Errorf("%s of %q: piece at %d of %d bytes after the one that ends at %d", name, k, p.Offset, p.Length, next)
					}
					if p.Offset > 0 && p.Zero == last.Zero && (most == 0 || p.Offset%most != 0) {
						t.Errorf("%s of %q: two pieces of the same kind meet at %d", name, k, p.Offset)
					}
					for off := p.Offset; off < p.End(); off += pieceSize {
						if isZero(off) != p.Zero {
							t.Errorf("%s of %q: zero at %d: %v, want %v", name, k, off, p.Zero, isZero(off))
						}
					}
					next, last = p.End(), p
					disk += p.Disk
				}
				if next != end || disk != k.Size() {
					t.Errorf("%s of %q: %d bytes, %d of the disk, want %d, %d", name, k, next, disk, end, k.Size())
				}
			}
		}
	}
}

// TestPiecesError uses an error in the extents, after data that can continue, and extents that are not
// contiguous.
func TestPiecesError(t *testing.T) {
	boom := errors.New("boom")
	for name, c := range map[string]struct {
		before extents
		cut    Cut
	}{
		"joined": {extents{{Length: pieceSize}}, Cut{Unit: pieceSize, Most: 4 * pieceSize}},
		"dense":  {nil, Cut{Unit: pieceSize, Most: 4 * pieceSize, Dense: true}},
	} {
		var got error
		for p, err := range c.cut.Pieces(t.Context(), failing{sized{c.before, 8 * pieceSize}, boom}, 0, 8*pieceSize) {
			if err == nil {
				t.Errorf("%s: a piece %v before the error", name, p)
			}
			got = err
		}
		if !errors.Is(got, boom) {
			t.Errorf("%s: error %v", name, got)
		}
	}
	for name, e := range map[string]extents{
		"early end": {{Offset: 0, Length: 100, Kind: image.Data}},
		"gap":       {{Offset: 0, Length: 100, Kind: image.Data}, {Offset: 200, Length: 800, Kind: image.Data}},
		"overlap":   {{Offset: 0, Length: 100, Kind: image.Data}, {Offset: 50, Length: 950, Kind: image.Hole}},
		"past end":  {{Offset: 0, Length: 1100, Kind: image.Hole}},
		"nothing":   {},
	} {
		var got error
		for _, err := range (Cut{Unit: pieceSize, Most: pieceSize}).Pieces(t.Context(), sized{e, 1000}, 0, 1000) {
			got = err
		}
		if got == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// extents are the extents of a source, whatever the range.
type extents []image.Extent

func (extents) ReadAt(p []byte, _ int64) (int, error) { clear(p); return len(p), nil }
func (e extents) Extents(int64, int64) iter.Seq2[image.Extent, error] {
	return func(yield func(image.Extent, error) bool) {
		for _, x := range e {
			if !yield(x, nil) {
				return
			}
		}
	}
}

type sized struct {
	extents
	size int64
}

func (s sized) Size() int64 { return s.size }

// A failing source returns an error after its extents.
type failing struct {
	sized
	err error
}

func (f failing) Extents(off, n int64) iter.Seq2[image.Extent, error] {
	return func(yield func(image.Extent, error) bool) {
		for e := range f.sized.Extents(off, n) {
			if !yield(e, nil) {
				return
			}
		}
		yield(image.Extent{}, f.err)
	}
}

func TestGroups(t *testing.T) {
	var in []Piece
	for _, off := range []int64{0, 1, 4, 7, 8, 16, 31, 40} { // counted in pieces; a group has 8
		in = append(in, Piece{Offset: off * pieceSize, Length: pieceSize})
	}
	var got [][]int64
	for g, err := range groups(sequence(in, nil)) {
		if err != nil {
			t.Fatal(err)
		}
		var offsets []int64
		for _, p := range g {
			offsets = append(offsets, p.Offset/pieceSize)
		}
		got = append(got, offsets)
	}
	if want := [][]int64{{0, 1, 4, 7}, {8}, {16}, {31}, {40}}; !reflect.DeepEqual(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	boom := errors.New("boom")
	for g, err := range groups(sequence(in[:1], boom)) {
		if g != nil || !errors.Is(err, boom) {
			t.Errorf("groups: got %v, %v", g, err)
		}
	}
	cancelled, cancel := context.WithCancelCause(context.Background())
	count := 0
	err := Each(cancelled, 1, 1, sequence(in[:4], nil), func([]byte, Piece) error {
		count++
		cancel(boom)
		return nil
	})
	if count != 1 || !errors.Is(err, boom) {
		t.Errorf("cancelled: %d pieces, %v", count, err)
	}
}

// sequence yields the pieces and then err, if that is not nil.
func sequence(in []Piece, err error) iter.Seq2[Piece, error] {
	return func(yield func(Piece, error) bool) {
		for _, p := range in {
			if !yield(p, nil) {
				return
			}
		}
		if err != nil {
			yield(Piece{}, err)
		}
	}
}
