// Package measure compares the speed of contenders in one process.
//
// On shared machines the clock rate and the memory bandwidth change every second, so rates measured one
// after the other do not compare. Here all contenders run in turns of less than a millisecond, and the
// times of one round are compared. The order changes each round, because a contender that heats the CPU
// less leaves a higher clock rate to the next one.
package measure

import (
	"math/rand/v2"
	"slices"
	"time"
)

// turn is the duration of a turn.
const turn = 200 * time.Microsecond

// A Job is one contender with its data. Run does the job once.
type Job struct {
	Name  string
	Bytes int // bytes that one Run processes
	Run   func()
}

// A Result holds the rate of each round of a job, in bytes per second.
type Result struct {
	Job
	Rates []float64
}

// Rounds runs all jobs in turns for a number of rounds, after one round that does not count.
func Rounds(jobs []Job, rounds int) []Result {
	results := make([]Result, len(jobs))
	repeat := make([]int, len(jobs))
	for i, job := range jobs {
		results[i].Job = job
		job.Run()
		repeat[i] = max(1, int(turn/max(1, once(job))))
	}
	order := rand.New(rand.NewPCG(1, 2))
	for round := range rounds + 1 {
		for _, i := range order.Perm(len(jobs)) {
			job := jobs[i]
			start := time.Now()
			for range repeat[i] {
				job.Run()
			}
			d := time.Since(start)
			if round > 0 {
				results[i].Rates = append(results[i].Rates, float64(job.Bytes*repeat[i])/d.Seconds())
			}
		}
	}
	return results
}

func once(job Job) time.Duration {
	best := time.Hour
	for range 5 {
		start := time.Now()
		job.Run()
		best = min(best, time.Since(start))
	}
	return best
}

// Median returns the median rate in bytes per second.
func (r Result) Median() float64 { return Median(r.Rates) }

// Ratio returns the median over the rounds of the ratio of r to other.
func (r Result) Ratio(other Result) float64 {
	ratios := make([]float64, len(r.Rates))
	for i := range ratios {
		ratios[i] = r.Rates[i] / other.Rates[i]
	}
	return Median(ratios)
}

// Median returns the median of v, which must not be empty.
func Median(v []float64) float64 {
	v = slices.Clone(v)
	slices.Sort(v)
	if n := len(v); n%2 == 0 {
		return (v[n/2-1] + v[n/2]) / 2
	}
	return v[len(v)/2]
}

// Batches returns the medians of n consecutive parts of the rounds.
func (r Result) Batches(n int) []float64 {
	var medians []float64
	for i := range n {
		if part := r.Rates[i*len(r.Rates)/n : (i+1)*len(r.Rates)/n]; len(part) > 0 {
			medians = append(medians, Median(part))
		}
	}
	return medians
}
