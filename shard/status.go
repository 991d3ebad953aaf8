package shard

import (
	"context"
	"errors"
	"fmt"
)

// The states of a shard. They are part of the JSON output of luksimg shard status.
const (
	Waiting  = "waiting"  // no part exists
	Partial  = "partial"  // some parts exist
	Done     = "done"     // all parts exist
	Replaced = "replaced" // at least one part differs from its record
	Damaged  = "damaged"  // its record cannot be read
	Finished = "finished" // the whole image is finished
)

// A Status is the progress of one shard.
type Status struct {
	Shard int    `json:"shard"`
	State string `json:"state"`
	Parts int    `json:"parts"` // in the shard
	Done  int    `json:"done"`  // recorded and stored
	Size  int64  `json:"size"`  // bytes of the image in the shard
}

// Status returns the progress of each shard, by number. If the job was aborted, the error is
// [ErrGone].
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

// A sight is the state of an unfinished image.
type sight struct {
	*Job
	shards   []Status
	parts    []Part // in order; all of them if whole returns nil
	replaced []int  // part numbers
	damaged  error  // the first record that cannot be read
}

// look reads the records of all shards and compares them with the stored parts.
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

// whole returns an error unless all parts exist as recorded.
func (s *sight) whole() error {
	if s.damaged != nil {
		return s.damaged
	}
	if len(s.replaced) > 0 {
		n := s.replaced[0]
		return fmt.Errorf("%w: part %d of shard %d", ErrReplaced, n, s.shardOf(n))
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

// Abort removes the unfinished image and all records. A finished image stays. It is not an error if nothing exists.
func (j *Job) Abort(ctx context.Context, t Target) error {
	if err := t.Abort(ctx, j.UploadID); err != nil {
		return err
	}
	return t.Clear(ctx, j.recordNames())
}
