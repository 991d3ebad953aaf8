//go:build !purego

package xts

import "unsafe"

// wide holds the schedules of both directions as the skewed loops read them. Nil is
// for the other paths.
type wide struct{ rooms [2]wideRoom }

// A wideSchedule is a schedule in which everything is as wide as a register, so that
// it is loaded without a broadcast. Its address is a multiple of 64: half of all loads
// would cross cache lines elsewhere.
type wideSchedule struct {
	whiten, last, step wideBlock                   // as in schedule; the step for x^32
	left, right        wideBlock                   // exponents of the first four blocks, and 64 less those
	middle             [maxRoundKeys - 2]wideBlock // the other round keys
}

// A wideBlock is a register.
type wideBlock [4][blockSize]byte

// wideRoom has room for a wideSchedule at an address that is a multiple of 64.
type wideRoom struct {
	bytes  [unsafe.Sizeof(wideSchedule{}) + wideAlign - 1]byte
	offset uintptr
}

const wideAlign = 64

func newWide(enc, dec *schedule) *wide {
	w := &wide{}
	w.rooms[0].fill(enc)
	w.rooms[1].fill(dec)
	return w
}

func (w *wide) enc() *wideSchedule { return w.rooms[0].schedule() }
func (w *wide) dec() *wideSchedule { return w.rooms[1].schedule() }

func (w *wide) wipe() {
	if w != nil {
		*w = wide{}
	}
}

// schedule is where the schedule is. What is in the heap stays there.
func (r *wideRoom) schedule() *wideSchedule {
	return (*wideSchedule)(unsafe.Pointer(&r.bytes[r.offset]))
}

func (r *wideRoom) fill(s *schedule) {
	r.offset = -uintptr(unsafe.Pointer(&r.bytes)) % wideAlign
	w := r.schedule()
	for i := range 4 {
		w.whiten[i], w.last[i], w.step[i] = s.whiten[0], s.last[0], s.steps[3][0]
		for half := range 2 {
			w.left[i][8*half], w.right[i][8*half] = byte(i), byte(64-i)
		}
		for j := range w.middle {
			w.middle[j][i] = s.middle[j]
		}
	}
}
