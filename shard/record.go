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

// A record lists the parts that a shard has made. The target stores it beside the image.
type record struct {
	Version int    `json:"version"`
	Job     string `json:"job"` // its ID
	Shard   int    `json:"shard"`
	Parts   []Part `json:"parts"`
}

// maxRecord is the largest record in bytes. A record can list all parts of an image.
const maxRecord = 16 << 20

// recordName returns the name of a shard's record. It is unique to this job.
func (j *Job) recordName(i int) string { return fmt.Sprintf("%s-%d.json", j.ID, i) }

func (j *Job) recordNames() []string {
	names := make([]string, j.Shards)
	for i := range names {
		names[i] = j.recordName(i)
	}
	return names
}

// load returns the recorded parts of a shard by number. An invalid record is [ErrRecord].
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
		return nil, fmt.Errorf("%w: %s: it names shard %d of job %.40q, version %d", ErrRecord, name, r.Shard, r.Job, r.Version)
	}
	from, to := j.Shard(i)
	parts := map[int]Part{}
	for _, p := range r.Parts {
		if p.Number < from || p.Number >= to {
			return nil, fmt.Errorf("%w: %s: part %d is outside of the shard", ErrRecord, name, p.Number)
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

// A keeper writes the record of a shard while the shard is being made. add does not block while another goroutine
// writes.
type keeper struct {
	j     *Job
	t     Target
	shard int
	check func() error // called before each write

	mu    sync.Mutex
	parts map[int]Part // parts that this process knows to exist
	dirty bool

	writing sync.Mutex
}

// add notes a part, and writes the record unless another goroutine is writing it.
func (k *keeper) add(ctx context.Context, p Part) error {
	k.mu.Lock()
	k.parts[p.Number] = p
	k.dirty = true
	k.mu.Unlock()
	for k.pending() && k.writing.TryLock() { // the goroutine with the lock checks again
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

// flush writes the parts that are not in the record yet.
func (k *keeper) flush(ctx context.Context) error {
	k.writing.Lock()
	defer k.writing.Unlock()
	return k.write(ctx)
}

// write merges the parts into the record. Another process that makes the same shard may have added parts to it.
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

// tries is the number of attempts to store a record that another process may replace at the same time.
const tries = 10

// merge adds parts to the record.
func (k *keeper) merge(ctx context.Context, parts map[int]Part) error {
	name := k.j.recordName(k.shard)
	var others map[int]Part
	old, err := k.t.Load(ctx, name)
	if err == nil && old != nil {
		others, err = k.j.parse(old, k.shard)
	}
	if err != nil {
		others = nil // write replaces a damaged record
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
