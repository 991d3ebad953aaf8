package faultfs

import (
	"iter"
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
// it makes fails, then the second, until there are no more calls. Each write of more than a
// sector fails twice: before anything was written, and in its middle.
func Failures(setup func() *FS, work func(d *FS) error) iter.Seq[Failure] {
	return func(yield func(Failure) bool) {
		for n := 1; ; n++ {
			for _, torn := range []bool{false, true} {
				f := Failure{FS: setup()}
				first := f.FS.Calls()
				f.FS.Fail(func(c Call) (int, error) {
					if c.N != first+n || torn && (c.Op != Write || c.Len <= Sector) {
						return 0, nil
					}
					f.Call = c
					if torn {
						f.Done = max(Sector, c.Len/2/Sector*Sector)
					}
					return f.Done, Err
				})
				f.Err = work(f.FS)
				f.FS.Fail(nil)
				if f.Call.N == 0 && !torn {
					return
				}
				if f.Call.N != 0 && !yield(f) {
					return
				}
				if f.Call.Op != Write || f.Call.Len <= Sector {
					break
				}
			}
		}
	}
}
