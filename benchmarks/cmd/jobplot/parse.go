package main

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// results are the measurements by job and contender, in the order of the file.
type results struct {
	head map[string]string // cpu, kernel, ...
	jobs []*job
}

type job struct {
	name  string
	impls []*impl
}

type impl struct {
	name string
	net  []float64 // seconds of each run, after the subtraction
	rss  int64     // largest resident set in bytes
	rate float64   // rate of the median run in MB/s
}

func (j *job) find(name string) *impl {
	for _, i := range j.impls {
		if i.name == name {
			return i
		}
	}
	return nil
}

// seconds returns the median.
func (i *impl) seconds() float64 {
	s := slices.Clone(i.net)
	slices.Sort(s)
	return (s[(len(s)-1)/2] + s[len(s)/2]) / 2
}

// parse parses the output of command job.
func parse(text string) (*results, error) {
	r := &results{head: make(map[string]string)}
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		f := strings.Fields(line)
		if !strings.HasPrefix(line, "BenchmarkJob/") {
			if k, v, ok := strings.Cut(line, ": "); ok && !strings.HasPrefix(line, "#") {
				if _, again := r.head[k]; !again {
					r.head[k] = v
				}
			}
			continue
		}
		if len(f) != 12 {
			return nil, fmt.Errorf("not a line of results: %s", line)
		}
		parts := strings.Split(f[0], "/")
		jobName, ok1 := strings.CutPrefix(parts[1], "job=")
		implName, ok2 := strings.CutPrefix(strings.Join(parts[2:], "/"), "impl=")
		net, err1 := strconv.ParseInt(f[6], 10, 64)
		rate, err2 := strconv.ParseFloat(f[8], 64)
		rss, err3 := strconv.ParseInt(f[10], 10, 64)
		if err := errors.Join(err1, err2, err3); err != nil || !ok1 || !ok2 {
			return nil, fmt.Errorf("not a line of results: %s: %w", line, err)
		}
		i := r.at(jobName, implName)
		i.net = append(i.net, float64(net)/1e9)
		i.rss = max(i.rss, rss)
		// The bytes are the same in each run.
		i.rate = rate * (float64(net) / 1e9) / i.seconds()
	}
	if len(r.jobs) == 0 {
		return nil, errors.New("no results")
	}
	return r, nil
}

func (r *results) at(jobName, implName string) *impl {
	var j *job
	for _, x := range r.jobs {
		if x.name == jobName {
			j = x
		}
	}
	if j == nil {
		j = &job{name: jobName}
		r.jobs = append(r.jobs, j)
	}
	if i := j.find(implName); i != nil {
		return i
	}
	i := &impl{name: implName}
	j.impls = append(j.impls, i)
	return i
}
