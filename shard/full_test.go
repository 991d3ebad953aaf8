package shard_test

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"syscall"
	"testing"

	"github.com/luksimg/luksimg/shard"
)

// A fullTarget is full after a number of records, or at a part.
type fullTarget struct {
	shard.Target
	saves int // number of records that fit
	part  int // number of the part that does not fit
}

func full(op string) error { return &fs.PathError{Op: op, Path: "x", Err: syscall.ENOSPC} }

func (f *fullTarget) Save(ctx context.Context, name string, b, old []byte) error {
	if f.saves--; f.saves < 0 {
		return full("write")
	}
	return f.Target.Save(ctx, name, b, old)
}

func (f *fullTarget) Resume(ctx context.Context, id string, size, partSize int64) (shard.Upload, error) {
	u, err := f.Target.Resume(ctx, id, size, partSize)
	return fullUpload{u, f.part}, err
}

type fullUpload struct {
	shard.Upload
	part int
}

func (u fullUpload) Send(ctx context.Context, number int, b []byte, known shard.Part) (shard.Part, bool, error) {
	if number == u.part {
		return shard.Part{}, false, full("write")
	}
	return u.Upload.Send(ctx, number, b, known)
}

// TestFull fills the disk at each record of a shard, and at each part. Unrecorded parts must not count as complete, and
// the next run, with free space, must make them.
func TestFull(t *testing.T) {
	for _, n := range []int{0, 1, 4} {
		for name, target := range targets(t) {
			j := plan(t, target, 1)
			for _, f := range []*fullTarget{{Target: target, saves: n}, {Target: target, saves: 100, part: n + 1}} {
				_, err := j.Run(t.Context(), f, bytes.NewReader(disk()), key, shard.RunOptions{Stamp: stamp, Jobs: 1})
				if !errors.Is(err, syscall.ENOSPC) {
					t.Errorf("%s, %+v: %v", name, f, err)
				}
				if _, err := j.Finish(t.Context(), target, shard.FinishOptions{}); !errors.As(err, new(*shard.IncompleteError)) {
					t.Errorf("%s, %+v: finished: %v", name, f, err)
				}
			}
			all, err := j.Status(t.Context(), target)
			if err != nil || all[0].State != shard.Waiting && all[0].State != shard.Partial || all[0].Done < n {
				t.Errorf("%s, %d: %+v, %v", name, n, all, err)
			}
			if r := mustRun(t, j, target, 0); r.Skipped < n || r.Skipped+r.Found+r.Sent != r.Parts {
				t.Errorf("%s, %d: %+v", name, n, r)
			}
			if _, err := j.Finish(t.Context(), target, shard.FinishOptions{Verify: true}); err != nil {
				t.Errorf("%s, %d: %v", name, n, err)
			}
			opened(t, target)
			left(t, target)
		}
	}
}
