package faultfs

import (
	"iter"
	"slices"
	"syscall"
)

// A Failure is a run in which one call failed.
type Failure struct {
	Call Call
	Done int   // bytes that a torn write had done before
	FS   *FS   // afterwards
	Err  error // what the work returned
}

// Err is what calls fail with that [Failures] picks.
var Err error = syscall.EIO

// Failures runs work on a filesystem that setup returns, again and again: the first call that
// it makes fails, then the second, until there are no more calls; or only calls of these kinds.
// Each write of more than a sector fails twice: before anything was written, and in its middle.
func Failures(setup func() *FS, work func(d *FS) error, ops ...Op) iter.Seq[Failure] {
	return func(yield func(Failure) bool) {
		for n := 1; ; n++ {
			f := fail(setup(), work, ops, n, false)
			if f.Call.N == 0 {
				return
			}
			if !yield(f) {
				return
			}
			if f.Call.Op == Write && f.Call.Len > Sector && !yield(fail(setup(), work, ops, n, true)) {
				return
			}
		}
	}
}

// fail runs work, of which call n of those kinds fails.
func fail(d *FS, work func(d *FS) error, ops []Op, n int, torn bool) Failure {
	f := Failure{FS: d}
	count := 0
	d.Fail(func(c Call) (int, error) {
		if len(ops) > 0 && !slices.Contains(ops, c.Op) {
			return 0, nil
		}
		if count++; count != n {
			return 0, nil
		}
		f.Call = c
		if torn {
			f.Done = max(Sector, c.Len/2/Sector*Sector)
		}
		return f.Done, Err
	})
	f.Err = work(d)
	d.Fail(nil)
	return f
}
