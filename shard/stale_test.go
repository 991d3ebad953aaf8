package shard_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"path/filepath"
	"testing"

	"github.com/luksimg/luksimg/shard"
)

// A late target has another process do something after a record was read for the second time, which is when a
// run is about to store its first one.
type late struct {
	shard.Target
	loads int
	other func()
	saved func()
}

func (l *late) Load(ctx context.Context, name string) ([]byte, error) {
	b, err := l.Target.Load(ctx, name)
	if l.loads++; l.loads == 2 {
		l.other()
	}
	return b, err
}

func (l *late) Save(ctx context.Context, name string, b, old []byte) error {
	err := l.Target.Save(ctx, name, b, old)
	if err == nil {
		l.saved()
	}
	return err
}

// TestSlower has a run store its first record when a faster one of the same shard has ended, and be killed then: the record
// is still that of the whole shard.
func TestSlower(t *testing.T) {
	for name, target := range targets(t) {
		t.Run(name, func(t *testing.T) {
			j := plan(t, target, 1)
			ctx, kill := context.WithCancel(t.Context())
			defer kill()
			faster := func() { mustRun(t, j, target, 0) }
			l := &late{Target: target, other: faster, saved: kill}
			_, err := j.Run(ctx, l, bytes.NewReader(disk()), key, shard.RunOptions{Stamp: stamp, Jobs: 1})
			if !errors.As(err, new(*shard.InterruptedError)) {
				t.Errorf("the slower run: %v", err)
			}
			if _, err := j.Finish(t.Context(), target, shard.FinishOptions{Verify: true}); err != nil {
				t.Error(err)
			}
			opened(t, target)
		})
	}
}

// TestStale stores records after another process has stored one of them.
func TestStale(t *testing.T) {
	f := shard.File{Name: filepath.Join(t.TempDir(), "image")}
	j := plan(t, f, 1)
	name := j.ID + "-0.json"
	a, b := []byte("a"), []byte("b")
	for _, save := range []struct {
		b, old []byte
		stale  bool
	}{{a, nil, false}, {b, nil, true}, {b, b, true}, {b, a, false}, {a, b, false}} {
		if err := f.Save(t.Context(), name, save.b, save.old); errors.Is(err, shard.ErrStale) != save.stale || (err != nil) != save.stale {
			t.Errorf("%+v: %v", save, err)
		}
	}
	if got, err := f.Load(t.Context(), name); err != nil || !bytes.Equal(got, a) {
		t.Errorf("%q, %v", got, err)
	}
	if left, err := filepath.Glob(filepath.Join(f.Name+shard.FolderSuffix, name+".*")); err != nil || len(left) > 0 {
		t.Errorf("left: %q, %v", left, err)
	}
}

// TestAlwaysStale has a record replaced as often as it is stored.
func TestAlwaysStale(t *testing.T) {
	m := newMemory()
	j := plan(t, m, 1)
	always := alwaysStale{m}
	if _, err := run(t.Context(), j, always, 0); !errors.Is(err, shard.ErrStale) {
		t.Errorf("%v", err)
	}
	if !json.Valid(m.files[j.ID+"-0.json"]) {
		t.Errorf("the record of the other process: %q", m.files)
	}
}

type alwaysStale struct{ *memory }

func (a alwaysStale) Save(ctx context.Context, name string, b, old []byte) error {
	a.memory.mu.Lock()
	a.memory.files[name] = append(bytes.Clone(a.memory.files[name]), ' ')
	if len(a.memory.files[name]) == 1 {
		a.memory.files[name] = []byte("{} ")
	}
	a.memory.mu.Unlock()
	return a.memory.Save(ctx, name, b, old)
}
