package term

import (
	"testing"
	"time"
)

func TestRate(t *testing.T) {
	var r rate
	start := time.Now()
	if got := r.perSecond(); got != 0 {
		t.Errorf("without samples: %v", got)
	}
	r.add(start, 0)
	for i := 1; i <= 60; i++ { // 100 a second, then 10 after half a minute
		done := int64(100 * i)
		if i > 30 {
			done = 3000 + int64(10*(i-30))
		}
		r.add(start.Add(time.Duration(i)*time.Second), done)
		if i == 30 {
			if got := r.perSecond(); got != 100 {
				t.Errorf("%v a second, want 100", got)
			}
		}
	}
	if got := r.perSecond(); got != 10 {
		t.Errorf("%v a second, want 10: old samples must not count", got)
	}
	if len(r.samples) > 12 {
		t.Errorf("%d samples kept", len(r.samples))
	}
	// If samples are far apart, two of them are enough.
	var far rate
	far.add(start, 0)
	far.add(start.Add(time.Minute), 600)
	if got := far.perSecond(); got != 10 {
		t.Errorf("%v a second, want 10", got)
	}
}
