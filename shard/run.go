package shard

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/luksimg/luksimg"
	"github.com/luksimg/luksimg/image"
	"github.com/luksimg/luksimg/internal/parallel"
)

// RunOptions are the settings of [Job.Run].
type RunOptions struct {
	Shard int // from 0 on
	// Jobs is the number of parts in memory at a time: Run encrypts one while it stores the others. Zero means as
	// many as fit in 512 MiB, from two to four.
	Jobs  int
	Build luksimg.BuildOptions
	// Stamp identifies the current version of the source. Unchanged, if not nil, returns an error if the source has
	// changed since.
	Stamp     Stamp
	Unchanged func() error
	// Progress, if not nil, is called with the number of bytes done since the last call, from several
	// goroutines. It must not block.
	Progress func(n int64)
}

// A RunResult is the result of [Job.Run].
type RunResult struct {
	Shard    int   `json:"shard"`
	Parts    int   `json:"parts"`    // in the shard
	Skipped  int   `json:"skipped"`  // existed as recorded, and were not made
	Found    int   `json:"found"`    // were made, but already existed
	Sent     int   `json:"sent"`     // were made and stored
	Bytes    int64 `json:"bytes"`    // of all parts of the shard
	Finished bool  `json:"finished"` // the image was already finished, and Run did nothing
}

// An InterruptedError means that the context of a run was done. Another run continues from there.
type InterruptedError struct{ Err error }

func (e *InterruptedError) Error() string { return e.Err.Error() }

// Unwrap returns the cause.
func (e *InterruptedError) Unwrap() error { return e.Err }

// Hint returns advice for a person.
func (e *InterruptedError) Hint() string { return "run the same command again to resume" }

// rounds is the number of times that a run checks its stored parts. A concurrent run of the same shard can replace
// them.
const rounds = 3

// Run makes one shard of the image from the disk src, with the key. It skips parts that exist as recorded. Several
// processes can run the same shard at the same time. If the image is finished, Run does nothing.
//
// The error is [ErrSource] if the source has changed, [ErrGone] if the job was aborted, and an [InterruptedError] if
// ctx is done. If the key is wrong, it is the error of [luksimg.Blueprint.Build].
func (j *Job) Run(ctx context.Context, t Target, src image.Source, key []byte, o RunOptions) (*RunResult, error) {
	if o.Shard < 0 || o.Shard >= j.Shards {
		return nil, fmt.Errorf("shard %d: the job has shards 0 to %d", o.Shard, j.Shards-1)
	}
	if err := j.Source.Stamp.Check(o.Stamp); err != nil {
		return nil, err
	}
	from, to := j.Shard(o.Shard)
	r := &RunResult{Shard: o.Shard, Parts: to - from, Bytes: j.ShardSize(o.Shard)}
	u, err := j.resume(ctx, t)
	if errors.Is(err, ErrGone) {
		return j.late(ctx, t, r, err)
	}
	if err != nil {
		return nil, err
	}
	defer u.Close()
	b, err := j.Image.Build(ctx, src, key, o.Build)
	if err != nil {
		return nil, err
	}
	defer b.Close()
	run := &running{Job: j, t: t, u: u, b: b, o: o, r: r}
	if err := run.all(ctx, from, to); err != nil {
		if ctx.Err() != nil {
			return nil, &InterruptedError{err}
		}
		if errors.Is(err, fs.ErrNotExist) { // another process finished or aborted the job
			return j.late(ctx, t, r, fmt.Errorf("%w: %w", ErrGone, err))
		}
		return nil, err
	}
	return r, nil
}

// resume returns the upload of the image, or [ErrGone].
func (j *Job) resume(ctx context.Context, t Target) (Upload, error) {
	u, err := t.Resume(ctx, j.UploadID, j.Image.FileSize, j.PartSize)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: %w", ErrGone, err)
	}
	return u, err
}

// late ends a run whose upload no longer exists. It returns an error unless the image is finished.
func (j *Job) late(ctx context.Context, t Target, r *RunResult, gone error) (*RunResult, error) {
	finished, err := j.ended(ctx, t)
	if err != nil {
		return nil, errors.Join(gone, err)
	}
	if !finished {
		return nil, gone
	}
	r.Finished = true
	return r, nil
}

// ended reports whether the image is finished, after its upload has ended. It waits if the target shows the image
// with a delay.
func (j *Job) ended(ctx context.Context, t Target) (bool, error) {
	var wait time.Duration
	if p, ok := t.(patient); ok {
		wait = p.Patience()
	}
	step := wait / 10
	for {
		finished, err := j.finished(ctx, t)
		if err != nil || finished || wait <= 0 {
			return finished, err
		}
		wait -= step
		select {
		case <-ctx.Done():
			return false, context.Cause(ctx)
		case <-time.After(step):
		}
	}
}

// finished reports whether the image is finished.
func (j *Job) finished(ctx context.Context, t Target) (bool, error) {
	img, err := t.Open(ctx)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer img.Close()
	return j.Image.Is(img)
}

// A running is one run of a shard.
type running struct {
	*Job
	t Target
	u Upload
	b *luksimg.Builder
	o RunOptions
	r *RunResult
}

// all makes the parts of the shard.
func (r *running) all(ctx context.Context, from, to int) error {
	known, err := r.load(ctx, r.t, r.o.Shard)
	if err != nil {
		known = nil // make all parts again
	}
	k := &keeper{j: r.Job, t: r.t, shard: r.o.Shard, parts: map[int]Part{}, check: r.unchanged}
	told := map[int]bool{}
	for round := 1; ; round++ {
		var todo []int
		for n := from; n < to; n++ {
			p, ok := known[n]
			if ok {
				if ok, _, err = r.u.Has(ctx, p); err != nil {
					return err
				}
			}
			if !ok {
				todo = append(todo, n)
				continue
			}
			k.parts[n] = p
			if !told[n] {
				told[n] = true
				r.r.Skipped++
				r.progress(n)
			}
		}
		if len(todo) == 0 {
			return nil
		}
		if round > rounds {
			return fmt.Errorf("part %d: %w: another process keeps replacing it", todo[0], ErrReplaced)
		}
		if err := r.make(ctx, k, todo, known); err != nil {
			return err
		}
		for _, n := range todo {
			told[n] = true
		}
		if known, err = r.load(ctx, r.t, r.o.Shard); err == nil {
			err = r.u.Refresh(ctx)
		}
		if err != nil {
			return err
		}
	}
}

// make makes parts. It encrypts one after the other and stores several at the same time.
func (r *running) make(ctx context.Context, k *keeper, todo []int, known map[int]Part) error {
	type piece struct{ number, size int }
	fill := func(buf []byte) (piece, bool, error) {
		if len(todo) == 0 {
			return piece{}, false, nil
		}
		n := todo[0]
		todo = todo[1:]
		off, size := r.span(n)
		err := r.b.Fill(ctx, buf[:size], off)
		if errors.Is(err, image.ErrChanged) {
			err = fmt.Errorf("%w: %w", ErrSource, err)
		}
		return piece{n, int(size)}, true, err
	}
	found := make(chan bool, len(todo))
	send := func(buf []byte, p piece) error {
		b := buf[:p.size]
		sum, start := sums(b)
		sent, there, err := r.u.Send(ctx, p.number, b, known[p.number])
		if err != nil {
			return fmt.Errorf("part %d: %w", p.number, err)
		}
		sent.Number, sent.Size, sent.SHA256, sent.Start = p.number, int64(p.size), sum, start
		found <- there
		r.progress(p.number)
		return k.add(ctx, sent)
	}
	buf := 0
	for _, n := range todo {
		_, size := r.span(n)
		buf = max(buf, int(size))
	}
	err := parallel.Ordered(ctx, min(r.jobs(), len(todo)), buf, fill, parallel.Step[piece]{Do: send})
	close(found)
	for there := range found {
		if there {
			r.r.Found++
		} else {
			r.r.Sent++
		}
	}
	if ctx.Err() == nil { // the next run skips the stored parts
		err = errors.Join(err, k.flush(ctx))
	}
	return err
}

// startSize is the number of bytes at the start of a part that have a checksum of their own.
const startSize = 64 << 10

// sums returns the checksums of a part and of its start.
func sums(b []byte) (all, start string) {
	s, t := sha256.Sum256(b), sha256.Sum256(b[:min(len(b), startSize)])
	return hex.EncodeToString(s[:]), hex.EncodeToString(t[:])
}

// jobs returns the number of parts in memory at a time.
func (r *running) jobs() int {
	if r.o.Jobs > 0 {
		return r.o.Jobs
	}
	return int(max(2, min(4, 512<<20/r.PartSize)))
}

// unchanged returns [ErrSource] if the source has changed.
func (r *running) unchanged() error {
	if r.o.Unchanged == nil {
		return nil
	}
	if err := r.o.Unchanged(); err != nil {
		return fmt.Errorf("%w: %w", ErrSource, err)
	}
	return nil
}

func (r *running) progress(number int) {
	if r.o.Progress != nil {
		_, size := r.span(number)
		r.o.Progress(size)
	}
}
