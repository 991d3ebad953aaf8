package term

import "time"

// window is the period over which a rate is averaged: long enough to be steady, short enough to be
// current.
const window = 10 * time.Second

// A rate computes the recent rate of a counter.
type rate struct {
	samples []sample // in order; the first can be older than the window
}

type sample struct {
	at   time.Time
	done int64
}

// add adds a sample and drops samples that are too old.
func (r *rate) add(at time.Time, done int64) {
	r.samples = append(r.samples, sample{at, done})
	for len(r.samples) > 2 && at.Sub(r.samples[1].at) >= window {
		r.samples = r.samples[1:]
	}
}

// perSecond returns the increase per second.
func (r *rate) perSecond() float64 {
	if len(r.samples) < 2 {
		return 0
	}
	first, last := r.samples[0], r.samples[len(r.samples)-1]
	elapsed := last.at.Sub(first.at).Seconds()
	return float64(last.done-first.done) / max(elapsed, 1e-3)
}
