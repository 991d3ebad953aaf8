package faultfs

import (
	"iter"
	"slices"
	"syscall"
)

// A Failure is a run in which one call failed.
type Failure struct {
	Call Call
	Done int   // bytes that a torn write wrote before it failed
	FS   *FS   // the filesystem afterwards
	Err  error // the error that work returned
}

// Err is the error of the calls that [Failures] makes fail.
var Err error = syscall.EIO

// Failures runs work once for each of its calls, each time on a new filesystem from setup, and makes
// that call fail. With ops, only calls of these kinds fail. A write of more than a sector fails twice:
// before it wrote anything, and in the middle.
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

// fail runs work and makes call number n of these kinds fail.
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
