package shard

import (
	"context"
	"errors"
	"fmt"
)

// The states of a shard.
const (
	Waiting  = "waiting"  // nothing of it is there
	Partial  = "partial"  // a part of it is
	Done     = "done"     // all of it is
	Replaced = "replaced" // a part of it is there, but not as it was made
	Damaged  = "damaged"  // its record can not be read
	Finished = "finished" // the image is there
)

// A Status says how far a shard is.
type Status struct {
	Shard int    `json:"shard"`
	State string `json:"state"`
	Parts int    `json:"parts"` // that it has
	Done  int    `json:"done"`  // that are there, and recorded
	Size  int64  `json:"size"`  // of its part of the image, bytes
}

// Status says how far each shard is.
func (j *Job) Status(ctx context.Context, t Target) ([]Status, error) {
	u, err := j.resume(ctx, t)
	if errors.Is(err, ErrGone) {
		finished, e := j.ended(ctx, t)
		if e != nil || !finished {
			return nil, errors.Join(err, e)
		}
		all := make([]Status, j.Shards)
		for i := range all {
			from, to := j.Shard(i)
			all[i] = Status{Shard: i, State: Finished, Parts: to - from, Done: to - from, Size: j.ShardSize(i)}
		}
		return all, nil
	}
	if err != nil {
		return nil, err
	}
	defer u.Close()
	s, err := j.look(ctx, t, u)
	if err != nil {
		return nil, err
	}
	return s.shards, nil
}

// A sight is what there is of an image that is being made.
type sight struct {
	*Job
	shards   []Status
	parts    []Part // all of them in order, if whole says so
	replaced []int  // parts
	damaged  error  // the first record that can not be read
}

// look reads the records of all shards, and compares them with what is there.
func (j *Job) look(ctx context.Context, t Target, u Upload) (*sight, error) {
	s := &sight{Job: j}
	for i := range j.Shards {
		from, to := j.Shard(i)
		var known map[int]Part
		var err error
		if from < to {
			known, err = j.load(ctx, t, i)
		}
		st := Status{Shard: i, State: Done, Parts: to - from, Size: j.ShardSize(i)}
		if err != nil {
			err = fmt.Errorf("shard %d: %w", i, err)
			if !errors.Is(err, ErrRecord) {
				return nil, err
			}
			st.State = Damaged
			if s.damaged == nil {
				s.damaged = err
			}
		}
		for n := from; n < to; n++ {
			p, ok := known[n]
			if !ok {
				continue
			}
			same, missing := true, false
			if u.Lists() {
				if same, missing, err = u.Has(ctx, p); err != nil {
					return nil, err
				}
			}
			switch {
			case same:
				st.Done++
				s.parts = append(s.parts, p)
			case !missing:
				st.State = Replaced
				s.replaced = append(s.replaced, n)
			}
		}
		if st.State == Done && st.Done < st.Parts {
			st.State = Partial
			if st.Done == 0 {
				st.State = Waiting
			}
		}
		s.shards = append(s.shards, st)
	}
	return s, nil
}

// whole tells whether all parts are there.
func (s *sight) whole() error {
	if s.damaged != nil {
		return s.damaged
	}
	if len(s.replaced) > 0 {
		n := s.replaced[0]
		return fmt.Errorf("%w: part %d, of shard %d", ErrReplaced, n, s.shardOf(n))
	}
	var missing []int
	for _, st := range s.shards {
		if st.Done < st.Parts {
			missing = append(missing, st.Shard)
		}
	}
	if len(missing) > 0 {
		return &IncompleteError{missing, s.Shards}
	}
	return nil
}

// Abort gives up the image, so that nothing is left of it. One that is finished stays. It is no error if
// there is nothing to give up.
func (j *Job) Abort(ctx context.Context, t Target) error {
	if err := t.Abort(ctx, j.UploadID); err != nil {
		return err
	}
	return t.Clear(ctx, j.recordNames())
}
