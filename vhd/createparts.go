package vhd

import (
	"context"
	"iter"

	"github.com/luksimg/luksimg/internal/pieces"
)

// A block is a part of the disk that may have data.
type block struct {
	pieces.Piece
	place int64 // in the file; -1 if it is all zeros
}

// data yields the parts of the disk up to an offset, of size bytes each, that have data as far as
// the extents of the source tell, and counts the others as done.
func (w *writer) data(ctx context.Context, size, end int64) iter.Seq2[*block, error] {
	return func(yield func(*block, error) bool) {
		for p, err := range (pieces.Cut{Unit: size, Most: size}).Data(ctx, w.src, end, w.done) {
			if !yield(&block{Piece: p, place: -1}, err) {
				return
			}
		}
	}
}
