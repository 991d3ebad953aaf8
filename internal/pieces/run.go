package pieces

import (
	"context"
	"iter"

	"github.com/luksimg/luksimg/internal/parallel"
)

// groupSize is how much of a disk a worker takes at a time, piece after piece: the largest
// cluster of qcow2. Two workers that read from one compressed cluster would wait for one
// another. A source that is an [image.Grouper] has groups of its own.
const groupSize = 2 << 20

// Each calls do for each of the pieces, from so many workers that each have a buffer of bufSize
// bytes; see [parallel.Run].
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

// groups puts pieces together that follow each other and are of one group.
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
				group = nil // the worker has it
			}
			group = append(group, p)
		}
		if len(group) > 0 {
			yield(group, nil)
		}
	}
}
