package engine

import (
	"bytes"
	"context"
	"iter"
	"math"
	"sync"

	"github.com/luksimg/luksimg/image"
	"github.com/luksimg/luksimg/internal/pieces"
)

// A Comparison is a job that compares a disk with another one of at least the same length. Past the end
// of the first disk the other must have zeros.
type Comparison struct {
	Source, Other image.Source
	SkipZeros     bool // parts that the source knows to be zero are not compared
	Workers
}

// Run returns the first offset at which the two differ, or -1.
func (c Comparison) Run(ctx context.Context) (int64, error) {
	// Workers process pieces concurrently. All pieces before a difference must be compared before it is
	// known to be the first.
	var mu sync.Mutex
	first := int64(math.MaxInt64)
	differ := func(off int64) {
		mu.Lock()
		first = min(first, off)
		mu.Unlock()
	}
	past := func(off int64) bool {
		mu.Lock()
		defer mu.Unlock()
		return off > first
	}
	todo := func(yield func(pieces.Piece, error) bool) {
		for p, err := range c.unsure(ctx) {
			if past(p.Offset) || !yield(p, err) {
				return
			}
		}
	}
	err := pieces.Each(ctx, c.Count, 2*unit, todo, func(buf []byte, p pieces.Piece) error {
		a, err := p.Read(c.Source, buf[:unit])
		if err != nil {
			return err
		}
		b := buf[unit:][:p.Length]
		if err := pieces.ReadFull(c.Other, b, p.Offset); err != nil {
			return err
		}
		if !bytes.Equal(a, b) {
			i := int64(0)
			for a[i] == b[i] {
				i++
			}
			differ(p.Offset + i)
		}
		c.Done(p.Length)
		return nil
	})
	if err != nil || first == math.MaxInt64 {
		return -1, err
	}
	return first, nil
}

// unsure yields the pieces that must be read. It skips zeros that both disks know, and
// with SkipZeros zeros that the source knows.
func (c Comparison) unsure(ctx context.Context) iter.Seq2[pieces.Piece, error] {
	cut := pieces.Cut{Unit: unit, Most: unit}
	return func(yield func(pieces.Piece, error) bool) {
		for p, err := range cut.Pieces(ctx, c.Source, 0, c.Other.Size()) {
			switch {
			case err == nil && p.Zero && c.SkipZeros:
				c.Done(p.Length)
			case err == nil && p.Zero:
				for q, err := range cut.Pieces(ctx, c.Other, p.Offset, p.End()) {
					if err == nil && q.Zero {
						c.Done(q.Length)
						continue
					}
					q.Zero = true // in the source
					if !yield(q, err) || err != nil {
						return
					}
				}
			default:
				if !yield(p, err) {
					return
				}
			}
		}
	}
}
