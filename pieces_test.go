package luksimg

import (
	"context"
	"errors"
	"iter"
	"reflect"
	"strings"
	"testing"

	"github.com/luksimg/luksimg/image"
)

// kinds is a source of parts of pieceSize/2 bytes, each with a letter: data (d), hole (h) or
// zero (z). It has no bytes.
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

// TestPieces cuts disks of all kinds: what comes out covers the same bytes, in order, in as
// few pieces as the rules allow.
func TestPieces(t *testing.T) {
	const size = 4 * pieceSize
	for _, k := range []kinds{"", "d", "h", "dd", "ddddddddd", "hzhzhzhzhzhzhzhzhzhz", "ddddddddddddddd", "hhhhhhhhdddddddd", "ddhhddhh", "dhhhhd", "hddh", "ddddzzzzzzdddd",
		"ddddddhhhhhhhhhhzd", "hhhhhhhhhhhhhhhhhhhhhhhd"} {
		for _, past := range []int64{0, 1, pieceSize, 10*pieceSize + 5} { // past the end of the source
			end := k.Size() + past
			isZero := func(off int64) bool { // of the step of pieceSize at off
				i := int(off / (pieceSize / 2))
				return !strings.Contains(string(k[min(i, len(k)):min(i+2, len(k))]), "d")
			}
			for name, c := range map[string]struct {
				pieces iter.Seq2[piece, error]
				data   int64 // the most in a piece, and what it does not cross a multiple of
				zeros  int64 // the same of a run of zeros; 0 for any length
			}{
				"pieces": {pieces(t.Context(), k, 0, end), pieceSize, 0},
				"joined": {joined(pieces(t.Context(), k, 0, end), size), size, 0},
				"dense":  {dense(joined(pieces(t.Context(), k, 0, end), size), size), size, size},
			} {
				var next, disk int64
				var last piece
				for p, err := range c.pieces {
					if err != nil {
						t.Fatal(err)
					}
					most := c.data
					if p.zero {
						most = c.zeros
					}
					if p.offset != next || p.length <= 0 || p.offset%pieceSize != 0 || most > 0 && p.offset/most != (p.end()-1)/most {
						t.Errorf("%s of %q: piece at %d of %d bytes after the one that ends at %d", name, k, p.offset, p.length, next)
					}
					if p.offset > 0 && p.zero == last.zero && (most == 0 || p.offset%most != 0) {
						t.Errorf("%s of %q: two pieces of one kind meet at %d", name, k, p.offset)
					}
					for off := p.offset; off < p.end(); off += pieceSize {
						if isZero(off) != p.zero {
							t.Errorf("%s of %q: zero at %d: %v, want %v", name, k, off, p.zero, isZero(off))
						}
					}
					next, last = p.end(), p
					disk += p.disk
				}
				if next != end || disk != k.Size() {
					t.Errorf("%s of %q: %d bytes, %d of the disk, want %d, %d", name, k, next, disk, end, k.Size())
				}
			}
		}
	}
}

// TestPiecesError has an error in front of the pieces, or behind a piece that is complete.
func TestPiecesError(t *testing.T) {
	boom := errors.New("boom")
	for name, pieces := range map[string]iter.Seq2[piece, error]{
		"joined": joined(sequence([]piece{{length: pieceSize}}, boom), 4*pieceSize),
		"dense":  dense(sequence(nil, boom), 4*pieceSize),
	} {
		var got error
		for p, err := range pieces {
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
		for _, err := range pieces(t.Context(), sized{e, 1000}, 0, 1000) {
			got = err
		}
		if got == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// extents are those of a source, whatever is asked for.
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

func TestGroups(t *testing.T) {
	var in []piece
	for _, off := range []int64{0, 1, 4, 7, 8, 16, 31, 40} { // in pieces; a group has 8
		in = append(in, piece{offset: off * pieceSize, length: pieceSize})
	}
	var got [][]int64
	for g, err := range groups(sequence(in, nil)) {
		if err != nil {
			t.Fatal(err)
		}
		var offsets []int64
		for _, p := range g {
			offsets = append(offsets, p.offset/pieceSize)
		}
		got = append(got, offsets)
	}
	if want := [][]int64{{0, 1, 4, 7}, {8}, {16}, {31}, {40}}; !reflect.DeepEqual(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	boom := errors.New("boom")
	for g, err := range groups(sequence(in[:1], boom)) {
		if g != nil || !errors.Is(err, boom) {
			t.Errorf("%v, %v", g, err)
		}
	}
	cancelled, cancel := context.WithCancelCause(context.Background())
	count := 0
	err := eachPiece(cancelled, 1, 1, sequence(in[:4], nil), func([]byte, piece) error {
		count++
		cancel(boom)
		return nil
	})
	if count != 1 || !errors.Is(err, boom) {
		t.Errorf("cancelled: %d pieces, %v", count, err)
	}
}

// sequence gives the pieces, and then the error if there is one.
func sequence(in []piece, err error) iter.Seq2[piece, error] {
	return func(yield func(piece, error) bool) {
		for _, p := range in {
			if !yield(p, nil) {
				return
			}
		}
		if err != nil {
			yield(piece{}, err)
		}
	}
}

func TestLongPieceSize(t *testing.T) {
	for _, c := range [][2]int{{1, 1 << 20}, {16, 1 << 20}, {17, 512 << 10}, {32, 512 << 10}, {64, 256 << 10}, {1000, 256 << 10}} {
		if got := longPieceSize(c[0]); got != c[1] {
			t.Errorf("%d workers: %d bytes, want %d", c[0], got, c[1])
		}
	}
}
