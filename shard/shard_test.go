package shard_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/luksimg/luksimg"
	"github.com/luksimg/luksimg/image"
	"github.com/luksimg/luksimg/internal/advice"
	"github.com/luksimg/luksimg/internal/imagetest"
	"github.com/luksimg/luksimg/luks"
	"github.com/luksimg/luksimg/manifest"
	"github.com/luksimg/luksimg/shard"
)

var (
	key   = []byte("MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=")
	cheap = luksimg.EncryptOptions{Format: luksimg.LUKS1, LUKS: luks.Options{KDF: luks.KDF{Iterations: 1000}}}
	stamp = shard.Stamp{Size: 20 << 20, ETag: "v1"}
)

// disk is 26 MB of random data with a gap.
var disk = sync.OnceValue(func() []byte {
	b := imagetest.Noise(26<<20+123, 1)
	clear(b[7<<20 : 11<<20])
	return b
})

func options(shards int) shard.PlanOptions {
	return shard.PlanOptions{
		Encrypt: cheap, Shards: shards, PartSize: shard.MinPart, Source: shard.Source{Name: "/disk", Stamp: stamp}, Destination: "/image", Created: time.Unix(1, 0).UTC(), Tool: "test",
		Manifest: func(r *luksimg.Result) *manifest.Manifest { return manifest.New(r, manifest.Options{Tool: "test"}) },
	}
}

func plan(t *testing.T, target shard.Target, shards int) *shard.Job {
	t.Helper()
	j, err := shard.Plan(t.Context(), target, bytes.NewReader(disk()), key, options(shards))
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := j.Write(&b); err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(b.Bytes(), key) {
		t.Error("the job holds the key")
	}
	if j, err = shard.Parse(&b); err != nil {
		t.Fatal(err)
	}
	return j
}

func run(ctx context.Context, j *shard.Job, target shard.Target, i int) (*shard.RunResult, error) {
	return j.Run(ctx, target, bytes.NewReader(disk()), key, shard.RunOptions{Shard: i, Stamp: stamp, Jobs: 2})
}

func mustRun(t *testing.T, j *shard.Job, target shard.Target, i int) *shard.RunResult {
	t.Helper()
	r, err := run(t.Context(), j, target, i)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// opened compares the image with the disk.
func opened(t *testing.T, target shard.Target) {
	t.Helper()
	f, err := target.Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	img, err := luksimg.OpenImage(t.Context(), io.NewSectionReader(f, 0, f.Size()), f.Size(), luksimg.ImageOptions{Key: key})
	if err != nil {
		t.Fatal(err)
	}
	got := make([]byte, len(disk()))
	if _, err := image.ReadFull(img, got, 0); err != nil || !bytes.Equal(got, disk()) {
		t.Errorf("the disk in the image differs: %v", err)
	}
}

func targets(t *testing.T) map[string]shard.Target {
	return map[string]shard.Target{"memory": newMemory(), "file": shard.File{Name: filepath.Join(t.TempDir(), "image")}}
}

// TestShards makes images by shards in all orders, twice, concurrently, and late.
func TestShards(t *testing.T) {
	for name, target := range targets(t) {
		t.Run(name, func(t *testing.T) {
			j := plan(t, target, 3)
			if j.Parts() != 6 {
				t.Fatalf("%d parts", j.Parts())
			}
			_, err := j.Finish(t.Context(), target, shard.FinishOptions{})
			if e := new(shard.IncompleteError); !errors.As(err, &e) || fmt.Sprint(e.Missing) != "[0 1 2]" {
				t.Errorf("finished without shards: %v", err)
			}
			if r := mustRun(t, j, target, 1); r.Sent != 2 || r.Parts != 2 {
				t.Errorf("%+v", r)
			}
			if r := mustRun(t, j, target, 1); r.Skipped != 2 || r.Sent != 0 {
				t.Errorf("again: %+v", r)
			}
			var wg sync.WaitGroup
			for range 3 { // concurrently
				wg.Go(func() {
					if _, err := run(t.Context(), j, target, 0); err != nil {
						t.Error(err)
					}
				})
			}
			wg.Wait()
			all, err := j.Status(t.Context(), target)
			if err != nil || all[0].State != shard.Done || all[1].State != shard.Done || all[2].State != shard.Waiting {
				t.Errorf("%v: %+v", err, all)
			}
			_, err = j.Finish(t.Context(), target, shard.FinishOptions{})
			if e := new(shard.IncompleteError); !errors.As(err, &e) || fmt.Sprint(e.Missing) != "[2]" {
				t.Errorf("finished without a shard: %v", err)
			}
			mustRun(t, j, target, 2)
			r, err := j.Finish(t.Context(), target, shard.FinishOptions{Verify: true})
			if err != nil || r.Already || r.Read != j.Image.FileSize {
				t.Fatalf("%v: %+v", err, r)
			}
			opened(t, target)
			if r := mustRun(t, j, target, 2); !r.Finished || r.Sent != 0 {
				t.Errorf("late: %+v", r)
			}
			if r, err := j.Finish(t.Context(), target, shard.FinishOptions{}); err != nil || !r.Already {
				t.Errorf("finished again: %v", err)
			}
			if all, err := j.Status(t.Context(), target); err != nil || all[1].State != shard.Finished {
				t.Errorf("%v: %+v", err, all)
			}
			if err := j.Abort(t.Context(), target); err != nil {
				t.Error(err)
			}
			opened(t, target)
			left(t, target)
		})
	}
}

// left checks that no temporary files or uploads remain.
func left(t *testing.T, target shard.Target) {
	t.Helper()
	switch target := target.(type) {
	case *memory:
		if len(target.files) > 0 || len(target.uploads) > 0 {
			t.Errorf("left: %d files, %d uploads", len(target.files), len(target.uploads))
		}
	case shard.File:
		if _, err := os.Stat(target.Name + shard.FolderSuffix); !os.IsNotExist(err) {
			t.Errorf("the folder remains: %v", err)
		}
	}
}

// TestKilled stops a shard after each of its parts, and runs it again.
func TestKilled(t *testing.T) {
	for name, target := range targets(t) {
		t.Run(name, func(t *testing.T) {
			j := plan(t, target, 1)
			for n := 1; n <= j.Parts(); n++ {
				ctx, cancel := context.WithCancelCause(t.Context())
				killed := errors.New("killed")
				parts := 0
				_, err := j.Run(ctx, target, bytes.NewReader(disk()), key, shard.RunOptions{Stamp: stamp, Jobs: 1, Progress: func(int64) {
					if parts++; parts == n {
						cancel(killed)
					}
				}})
				if e := new(shard.InterruptedError); err != nil && (!errors.As(err, &e) || !errors.Is(err, killed)) {
					t.Fatalf("after %d parts: %v", n, err)
				}
				cancel(nil)
			}
			r := mustRun(t, j, target, 0)
			if r.Skipped+r.Found == 0 {
				t.Errorf("%+v", r)
			}
			if _, err := j.Finish(t.Context(), target, shard.FinishOptions{Verify: true}); err != nil {
				t.Fatal(err)
			}
			opened(t, target)
			left(t, target)
		})
	}
}

// TestReplaced exchanges a part. Finish must detect that before it makes the image.
func TestReplaced(t *testing.T) {
	m := newMemory()
	j := plan(t, m, 2)
	mustRun(t, j, m, 0)
	mustRun(t, j, m, 1)
	m.uploads[j.UploadID][5] = bytes.Clone(m.uploads[j.UploadID][2])
	_, err := j.Finish(t.Context(), m, shard.FinishOptions{})
	if !errors.Is(err, shard.ErrReplaced) || m.image != nil {
		t.Fatalf("another part: %v", err)
	}
	if all, err := j.Status(t.Context(), m); err != nil || all[1].State != shard.Replaced || all[0].State != shard.Done {
		t.Errorf("%v: %+v", err, all)
	}
	if r := mustRun(t, j, m, 1); r.Sent != 1 || r.Skipped != 2 {
		t.Errorf("%+v", r)
	}
	m.damage = true
	if _, err := j.Finish(t.Context(), m, shard.FinishOptions{Verify: true}); !errors.Is(err, shard.ErrReplaced) || m.image != nil {
		t.Errorf("a damaged image: %v", err)
	}
}

// TestStolen has another process replace a part each time that the shard stores it.
func TestStolen(t *testing.T) {
	m := newMemory()
	j := plan(t, m, 1)
	m.before = func(int) error {
		m.mu.Lock()
		defer m.mu.Unlock()
		m.uploads[j.UploadID][1] = []byte("other")
		return nil
	}
	_, err := run(t.Context(), j, stolen{m}, 0)
	if !errors.Is(err, shard.ErrReplaced) {
		t.Errorf("%v", err)
	}
}

// stolen replaces a part whenever Has reads it.
type stolen struct{ *memory }

func (s stolen) Resume(ctx context.Context, id string, a, b int64) (shard.Upload, error) {
	u, err := s.memory.Resume(ctx, id, a, b)
	return stolenUpload{u.(*memoryUpload)}, err
}

type stolenUpload struct{ *memoryUpload }

func (u stolenUpload) Refresh(ctx context.Context) error {
	u.mu.Lock()
	u.uploads[u.id][1] = []byte("other")
	u.mu.Unlock()
	return u.memoryUpload.Refresh(ctx)
}

func TestRefusals(t *testing.T) {
	m := newMemory()
	j := plan(t, m, 2)
	src := bytes.NewReader(disk())
	if _, err := j.Run(t.Context(), m, src, []byte("another passphrase than the one that fits"), shard.RunOptions{Stamp: stamp}); !errors.Is(err, luks.ErrPassphrase) {
		t.Errorf("a wrong key: %v", err)
	}
	if _, err := j.Run(t.Context(), m, src, key, shard.RunOptions{Stamp: shard.Stamp{Size: stamp.Size, ETag: "v2"}}); !errors.Is(err, shard.ErrSource) {
		t.Errorf("another source: %v", err)
	}
	if _, err := j.Run(t.Context(), m, src, key, shard.RunOptions{Stamp: stamp, Unchanged: func() error { return image.ErrChanged }}); !errors.Is(err, shard.ErrSource) {
		t.Errorf("a source that changes: %v", err)
	}
	if len(m.files) > 0 {
		t.Error("a part of a source that changes was recorded")
	}
	if _, err := j.Run(t.Context(), m, bytes.NewReader(nil), key, shard.RunOptions{Stamp: stamp}); !errors.Is(err, luksimg.ErrBlueprint) {
		t.Errorf("a disk of another size: %v", err)
	}
	for _, i := range []int{-1, 2} {
		if _, err := j.Run(t.Context(), m, src, key, shard.RunOptions{Shard: i, Stamp: stamp}); err == nil {
			t.Errorf("shard %d of 2", i)
		}
	}
	full := errors.New("full")
	m.before = func(int) error { return full }
	if _, err := run(t.Context(), j, m, 0); !errors.Is(err, full) {
		t.Errorf("a full target: %v", err)
	}
	if err := errors.Join(j.Abort(t.Context(), m), j.Abort(t.Context(), m)); err != nil {
		t.Error(err)
	}
	left(t, m)
	if _, err := run(t.Context(), j, m, 0); !errors.Is(err, shard.ErrGone) {
		t.Errorf("aborted: %v", err)
	}
	if _, err := j.Finish(t.Context(), m, shard.FinishOptions{}); !errors.Is(err, shard.ErrGone) {
		t.Errorf("aborted: %v", err)
	}
}

// TestFiles makes a file that exists, and the same file by two jobs.
func TestFiles(t *testing.T) {
	f := shard.File{Name: filepath.Join(t.TempDir(), "image")}
	j := plan(t, f, 1)
	src := bytes.NewReader(disk())
	if _, err := shard.Plan(t.Context(), f, src, key, options(1)); !errors.Is(err, os.ErrExist) {
		t.Errorf("two jobs: %v", err)
	}
	mustRun(t, j, f, 0)
	if err := os.WriteFile(f.Name, []byte("there"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := j.Finish(t.Context(), f, shard.FinishOptions{}); !errors.Is(err, os.ErrExist) {
		t.Errorf("an existing file: %v", err)
	}
	f.Replace = true
	if _, err := j.Finish(t.Context(), f, shard.FinishOptions{}); err != nil {
		t.Errorf("an existing file that may be replaced: %v", err)
	}
	opened(t, f)
	f.Replace = false
	if _, err := shard.Plan(t.Context(), f, src, key, options(1)); !errors.Is(err, os.ErrExist) {
		t.Errorf("an existing file: %v", err)
	}
	f = shard.File{Name: filepath.Join(t.TempDir(), "image")}
	j = plan(t, f, 1)
	names, err := filepath.Glob(filepath.Join(f.Name+shard.FolderSuffix, "*.image"))
	if err != nil || len(names) != 1 {
		t.Fatal(names, err)
	}
	if err := os.Truncate(names[0], 5); err != nil {
		t.Fatal(err)
	}
	if _, err := run(t.Context(), j, f, 0); err == nil {
		t.Error("accepted a file of another length")
	}
}

// TestChangedMeanwhile changes the disk while a shard is being made.
func TestChangedMeanwhile(t *testing.T) {
	m := newMemory()
	j := plan(t, m, 1)
	_, err := j.Run(t.Context(), m, changing{bytes.NewReader(disk())}, key, shard.RunOptions{Stamp: stamp, Jobs: 1})
	if !errors.Is(err, shard.ErrSource) || !errors.Is(err, image.ErrChanged) || !strings.Contains(advice.Of(err), "plan it again") {
		t.Errorf("%v (%s)", err, advice.Of(err))
	}
}

// changing is a disk that has changed after its first 10 MiB.
type changing struct{ *bytes.Reader }

func (c changing) ReadAt(p []byte, off int64) (int, error) {
	if off+int64(len(p)) > 10<<20 {
		return 0, image.ErrChanged
	}
	return c.Reader.ReadAt(p, off)
}
