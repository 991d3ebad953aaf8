package pieces

import (
	"context"
	"iter"

	"github.com/luksimg/luksimg/internal/parallel"
)

// groupSize is the part of a disk that a worker processes at a time: the largest cluster of qcow2. Two
// workers that read from one compressed cluster would wait for each other. A source that is an
// [image.Grouper] has its own groups.
const groupSize = 2 << 20

// Each calls do for each piece from workers goroutines with a buffer of bufSize bytes each; see
// [parallel.Run].
func Each(ctx context.Context, workers, bufSize int, pieces iter.Seq2[Piece, error], do func(buf []byte, p Piece) error) error {
	return parallel.Run(ctx, workers, bufSize, groups(pieces), func(buf []byte, group []Piece) error {
		for _, p := range group {
			if err := context.Cause(ctx); err != nil {
				return err
			}
			if err := do(buf, p); err != nil {
				return err
			}
		}
		return nil
	})
}

// groups yields runs of adjacent pieces in the same group.
func groups(pieces iter.Seq2[Piece, error]) iter.Seq2[[]Piece, error] {
	return func(yield func([]Piece, error) bool) {
		var group []Piece
		for p, err := range pieces {
			if err != nil {
				yield(nil, err)
				return
			}
			if len(group) > 0 && !group[0].with(p) {
				if !yield(group, nil) {
					return
				}
				group = nil // the worker owns it
			}
			group = append(group, p)
		}
		if len(group) > 0 {
			yield(group, nil)
		}
	}
}
