//go:build !purego

package xts

import "unsafe"

// wide holds the schedules of both directions for the skewed loops. It is nil for other paths.
type wide struct {
	rooms [2]wideRoom
	loop  skewedLoop
}

// skewedLoop selects the loop of the skewed kernels; see xts/_asm/skewed.go.
type skewedLoop int

const (
	skewed256 skewedLoop = iota
	skewed128
	skewed128Multiply // with carry-less multiplications
)

// multiplies reports whether this CPU is faster with carry-less multiplications: an AMD CPU after Zen
// 4, which is family 25, as is Zen 3. Tests set it.
var multiplies = family() > 25

// family returns the family of the CPU. Each maker has its own numbers.
func family() uint32 {
	a, _, _, _ := cpuid(1, 0)
	return a>>8&0xf + a>>20&0xff
}

// A wideSchedule is a schedule whose fields are as wide as a register, so that loads need no broadcast.
// Its address is a multiple of 64; otherwise half of all loads would cross cache lines.
type wideSchedule struct {
	whiten, last, step wideBlock                   // as in schedule; the step for x^32
	left, right        wideBlock                   // exponents of the first four blocks, and 64 minus these
	middle             [maxRoundKeys - 2]wideBlock // the other round keys
}

// A wideBlock fills a register.
type wideBlock [4][blockSize]byte

// wideRoom has space for a wideSchedule at an address that is a multiple of 64.
type wideRoom struct {
	bytes  [unsafe.Sizeof(wideSchedule{}) + wideAlign - 1]byte
	offset uintptr
}

const wideAlign = 64

func newWide(enc, dec *schedule, rounds int) *wide {
	w := &wide{}
	switch {
	case rounds == 10 && multiplies:
		w.loop = skewed128Multiply
	case rounds == 10:
		w.loop = skewed128
	}
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

// schedule returns the address of the schedule. r is on the heap, so its address does not change.
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
