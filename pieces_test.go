package luksimg

import (
	"context"
	"errors"
	"iter"
	"reflect"
	"testing"
)

// TestJoined joins pieces of all kinds: what comes out covers the same bytes, in order,
// in as few pieces as the rules allow.
func TestJoined(t *testing.T) {
	const size = 4 * pieceSize
	// The kinds of the pieces of a disk, zero or data; the last one is half as long, and the
	// disk ends in the middle of it.
	for _, kinds := range []string{"", "d", "z", "dd", "ddddd", "dddddddd", "zzzzdddd", "dzdz", "ddzzzzdd", "dddzzzzzd"} {
		var in []piece
		for i, k := range kinds {
			p := piece{offset: int64(i) * pieceSize, length: pieceSize, disk: pieceSize, zero: k == 'z'}
			if i == len(kinds)-1 {
				p.length, p.disk = pieceSize/2, pieceSize/4
			}
			in = append(in, p)
		}
		var next int64
		count, disk := 0, 0
		var last piece
		for p, err := range joined(sequence(in, nil), size) {
			if err != nil {
				t.Fatal(err)
			}
			if p.offset != next || p.length <= 0 || p.length > size || p.offset/size != (p.end()-1)/size {
				t.Errorf("%q: piece at %d of %d bytes after the one that ends at %d", kinds, p.offset, p.length, next)
			}
			if count > 0 && p.zero == last.zero && p.offset%size != 0 {
				t.Errorf("%q: two pieces of one kind meet at %d", kinds, p.offset)
			}
			for off := p.offset; off < p.end(); off += pieceSize {
				if zero := kinds[off/pieceSize] == 'z'; zero != p.zero {
					t.Errorf("%q: zero at %d: %v, want %v", kinds, off, p.zero, zero)
				}
			}
			next, last = p.end(), p
			disk += p.disk
			count++
		}
		wantEnd, wantDisk := int64(0), 0
		for _, p := range in {
			wantEnd = p.end()
			wantDisk += p.disk
		}
		if next != wantEnd || disk != wantDisk {
			t.Errorf("%q: %d bytes, %d of the disk, want %d, %d", kinds, next, disk, wantEnd, wantDisk)
		}
	}
	boom := errors.New("boom")
	var got error
	for p, err := range joined(sequence([]piece{{length: pieceSize}}, boom), size) {
		if err == nil {
			t.Errorf("a piece %v before the error", p)
		}
		got = err
	}
	if !errors.Is(got, boom) {
		t.Errorf("error %v", got)
	}
}

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
