package measure

import (
	"sync"
	"time"
)

// span is how long threads run at a time. It is long enough to make the time to wake an idle core
// negligible.
const span = 20 * time.Millisecond

// Threads compares the first of the workers alone with all of them together. Each works until the time
// is up, so that none waits for the slowest.
func Threads(workers []Job, rounds int) (one, all Result) {
	one.Job, all.Job = workers[0], workers[0]
	for round := range rounds + 1 {
		a, b := together(workers[:1]), together(workers)
		if round > 0 {
			one.Rates = append(one.Rates, a)
			all.Rates = append(all.Rates, b)
		}
	}
	return one, all
}

// together returns the total rate of the workers in bytes per second.
func together(workers []Job) float64 {
	rates := make([]float64, len(workers))
	var wg sync.WaitGroup
	start := time.Now()
	for i, w := range workers {
		wg.Go(func() {
			bytes := 0
			for time.Since(start) < span {
				w.Run()
				bytes += w.Bytes
			}
			rates[i] = float64(bytes) / time.Since(start).Seconds()
		})
	}
	wg.Wait()
	sum := 0.0
	for _, r := range rates {
		sum += r
	}
	return sum
}
