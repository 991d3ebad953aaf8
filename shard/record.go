package shard

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
)

// A record tells what a shard has made: it is stored beside the image.
type record struct {
	Version int    `json:"version"`
	Job     string `json:"job"` // its ID
	Shard   int    `json:"shard"`
	Parts   []Part `json:"parts"`
}

// maxRecord bounds a record, which may have all parts of an image.
const maxRecord = 16 << 20

// recordName is the name of the record of a shard. It is of this job alone.
func (j *Job) recordName(i int) string { return fmt.Sprintf("%s-%d.json", j.ID, i) }

func (j *Job) recordNames() []string {
	names := make([]string, j.Shards)
	for i := range names {
		names[i] = j.recordName(i)
	}
	return names
}

// load returns the parts that were recorded of a shard, by number. The error is [ErrRecord] if the record
// says nothing that can be true.
func (j *Job) load(ctx context.Context, t Target, i int) (map[int]Part, error) {
	b, err := t.Load(ctx, j.recordName(i))
	if err != nil || b == nil {
		return nil, err
	}
	return j.parse(b, i)
}

// parse reads the record of a shard; see load.
func (j *Job) parse(b []byte, i int) (map[int]Part, error) {
	name := j.recordName(i)
	var r record
	if err := json.Unmarshal(b, &r); err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrRecord, name, err)
	}
	if r.Version != Version || r.Job != j.ID || r.Shard != i {
		return nil, fmt.Errorf("%w: %s: it is of shard %d of job %.40q, version %d", ErrRecord, name, r.Shard, r.Job, r.Version)
	}
	from, to := j.Shard(i)
	parts := map[int]Part{}
	for _, p := range r.Parts {
		if p.Number < from || p.Number >= to {
			return nil, fmt.Errorf("%w: %s: part %d is not of the shard", ErrRecord, name, p.Number)
		}
		_, size := j.span(p.Number)
		_, err1 := hex.DecodeString(p.SHA256)
		_, err2 := hex.DecodeString(p.Start)
		if p.Size != size || len(p.SHA256) != 64 || len(p.Start) != 64 || err1 != nil || err2 != nil || len(p.ETag) > 1024 || len(p.MD5) > 32 {
			return nil, fmt.Errorf("%w: %s: part %d is malformed", ErrRecord, name, p.Number)
		}
		parts[p.Number] = p
	}
	return parts, nil
}

// A keeper records what a shard makes while it is made. Who adds a part does not wait while
// another one is writing.
type keeper struct {
	j     *Job
	t     Target
	shard int
	check func() error // before anything is recorded

	mu    sync.Mutex
	parts map[int]Part // that this process knows to be there
	dirty bool

	writing sync.Mutex
}

// add notes a part, and writes the record unless that is being done.
func (k *keeper) add(ctx context.Context, p Part) error {
	k.mu.Lock()
	k.parts[p.Number] = p
	k.dirty = true
	k.mu.Unlock()
	for k.pending() && k.writing.TryLock() { // who has the lock looks again
		err := k.write(ctx)
		k.writing.Unlock()
		if err != nil {
			return err
		}
	}
	return nil
}

// pending reports whether a part is not written.
func (k *keeper) pending() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.dirty
}

// flush writes what is not written.
func (k *keeper) flush(ctx context.Context) error {
	k.writing.Lock()
	defer k.writing.Unlock()
	return k.write(ctx)
}

// write writes the record, with what another process that makes the same shard has recorded meanwhile.
func (k *keeper) write(ctx context.Context) error {
	k.mu.Lock()
	dirty, parts := k.dirty, maps.Clone(k.parts)
	k.dirty = false
	k.mu.Unlock()
	if !dirty {
		return nil
	}
	if err := k.check(); err != nil {
		return err
	}
	for try := 1; ; try++ {
		err := k.merge(ctx, parts)
		if !errors.Is(err, ErrStale) || try == tries {
			return err
		}
	}
}

// tries is how often a record is stored that another process has replaced meanwhile.
const tries = 10

// merge writes the record, with these parts and those that are in it.
func (k *keeper) merge(ctx context.Context, parts map[int]Part) error {
	name := k.j.recordName(k.shard)
	var others map[int]Part
	old, err := k.t.Load(ctx, name)
	if err == nil && old != nil {
		others, err = k.j.parse(old, k.shard)
	}
	if err != nil {
		others = nil // it is replaced
	}
	for n, p := range others {
		if _, ours := parts[n]; !ours {
			parts[n] = p
		}
	}
	r := record{Version: Version, Job: k.j.ID, Shard: k.shard}
	for _, n := range slices.Sorted(maps.Keys(parts)) {
		r.Parts = append(r.Parts, parts[n])
	}
	b, err := json.Marshal(r)
	if err != nil {
		return err
	}
	return k.t.Save(ctx, name, append(b, '\n'), old)
}
