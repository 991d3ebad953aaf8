package parallel_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"

	"github.com/luksimg/luksimg/internal/parallel"
)

// fill returns pieces 0 to n-1 and then err, if that is not nil.
func fill(n int, err error) func([]byte) (int, bool, error) {
	i := -1
	return func(buf []byte) (int, bool, error) {
		if i++; i >= n {
			return 0, false, err
		}
		buf[0] = byte(i)
		return i, true, nil
	}
}

func TestOrdered(t *testing.T) {
	for _, workers := range []int{0, 1, 2, 9} {
		for _, n := range []int{0, 1, 7, 500} {
			var got [2][]int
			emit := func(stage int) func(buf []byte, p int) error {
				return func(buf []byte, p int) error {
					if buf[0] != byte(p)+1+byte(stage) {
						t.Errorf("stage %d, piece %d: buffer of %d", stage, p, buf[0])
					}
					got[stage] = append(got[stage], p)
					return nil
				}
			}
			work := func(buf []byte, p int) error {
				for range rand.IntN(3) {
					runtime.Gosched()
				}
				buf[0]++
				return nil
			}
			err := parallel.Ordered(context.Background(), workers, 1, fill(n, nil), free(work), ordered(emit(0)), free(work), ordered(emit(1)))
			if err != nil {
				t.Fatal(err)
			}
			for stage := range got {
				if len(got[stage]) != n || !slices.IsSorted(got[stage]) {
					t.Errorf("%d workers, stage %d: %d of %d pieces, in order: %v", workers, stage, len(got[stage]), n, slices.IsSorted(got[stage]))
				}
			}
		}
	}
}

func TestOrderedErrors(t *testing.T) {
	ctx := context.Background()
	none := ordered(func([]byte, int) error { return nil })
	failing := free(func(_ []byte, p int) error { return failAt(p, 5) })
	type steps []parallel.Step[int]
	for name, c := range map[string]struct {
		fill  func([]byte) (int, bool, error)
		steps steps
	}{
		"fill":    {fill(5, errBoom), nil},
		"first":   {fill(1000, nil), steps{failing}},
		"between": {fill(1000, nil), steps{none, failing}},
	} {
		last := -1
		emit := ordered(func(_ []byte, p int) error { last = p; return nil })
		if err := parallel.Ordered(ctx, 4, 1, c.fill, append(c.steps, emit)...); !errors.Is(err, errBoom) {
			t.Errorf("%s: %v", name, err)
		}
		if last > 4 {
			t.Errorf("%s: piece %d was emitted after the error of piece 5", name, last)
		}
	}
	for name, step := range map[string]func(func([]byte, int) error) parallel.Step[int]{"in order": ordered, "last": free} {
		err := parallel.Ordered(ctx, 4, 1, fill(1000, nil), none, step(func(_ []byte, p int) error { return failAt(p, 7) }))
		if !errors.Is(err, errBoom) {
			t.Errorf("%s: %v", name, err)
		}
	}
	cancelled, cancel := context.WithCancelCause(ctx)
	err := parallel.Ordered(cancelled, 4, 1, fill(1_000_000, nil), ordered(func(_ []byte, p int) error {
		if p == 10 {
			cancel(errBoom)
		}
		if p > 10 {
			t.Errorf("piece %d was emitted after the end", p)
		}
		return nil
	}))
	if !errors.Is(err, errBoom) {
		t.Errorf("cancelled: %v", err)
	}
}

func free(do func([]byte, int) error) parallel.Step[int] { return parallel.Step[int]{Do: do} }

func ordered(do func([]byte, int) error) parallel.Step[int] {
	return parallel.Step[int]{Do: do, InOrder: true}
}

func failAt(p, bad int) error {
	if p == bad {
		return errBoom
	}
	return nil
}
