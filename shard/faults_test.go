package shard_test

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/luksimg/luksimg/internal/advice"
	"github.com/luksimg/luksimg/shard"
)

// record returns the file of a shard's record.
func record(f shard.File, j *shard.Job, i string) string {
	return filepath.Join(f.Name+shard.FolderSuffix, j.ID+"-"+i+".json")
}

// TestDamagedRecord replaces the record of one of two shards by other things. Status must still work, Finish must
// name the shard, and running the shard must repair what can be replaced.
func TestDamagedRecord(t *testing.T) {
	write := func(text string) func(name string) error {
		return func(name string) error { return os.WriteFile(name, []byte(text), 0o600) }
	}
	for name, put := range map[string]func(name string) error{
		"no JSON":         write("{"),
		"empty":           write(""),
		"another version": write(`{"version":2}`),
		"a link":          func(name string) error { return os.Symlink("other", name) },
		"a folder":        func(name string) error { return os.Mkdir(name, 0o700) },
	} {
		t.Run(name, func(t *testing.T) {
			f := shard.File{Name: filepath.Join(t.TempDir(), "image")}
			j := plan(t, f, 2)
			mustRun(t, j, f, 0)
			mustRun(t, j, f, 1)
			file := record(f, j, "1")
			if err := os.Remove(file); err != nil {
				t.Fatal(err)
			}
			if err := put(file); err != nil {
				t.Skip(err)
			}
			all, err := j.Status(t.Context(), f)
			if err != nil || all[0].State != shard.Done || all[1].State != shard.Damaged {
				t.Errorf("status: %v, %v", all, err)
			}
			if _, err := j.Finish(t.Context(), f, shard.FinishOptions{}); !errors.Is(err, shard.ErrRecord) || !strings.Contains(err.Error(), "shard 1") || advice.Of(err) == "" {
				t.Errorf("finish: %v", err)
			}
			_, err = run(t.Context(), j, f, 1)
			if name == "a folder" {
				if err == nil || !strings.Contains(advice.Of(err), "remove the folder") {
					t.Errorf("run: %v (%s)", err, advice.Of(err))
				}
			} else if err != nil {
				t.Errorf("run: %v", err)
			} else if _, err := j.Finish(t.Context(), f, shard.FinishOptions{}); err != nil {
				t.Errorf("finish again: %v", err)
			}
			if err := j.Abort(t.Context(), f); err != nil {
				t.Error(err)
			}
			if _, err := os.Lstat(f.Name + shard.FolderSuffix); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("the folder exists after abort: %v", err)
			}
		})
	}
}

// TestAbortOfAnything aborts a job whose file was replaced by something else.
func TestAbortOfAnything(t *testing.T) {
	for name, put := range map[string]func(name string) error{
		"another size": func(name string) error { return os.WriteFile(name, []byte("short"), 0o600) },
		"a folder":     func(name string) error { return os.MkdirAll(filepath.Join(name, "in"), 0o700) },
		"a link":       func(name string) error { return os.Symlink("other", name) },
		"none":         func(string) error { return nil },
	} {
		f := shard.File{Name: filepath.Join(t.TempDir(), "image")}
		j := plan(t, f, 2)
		file := filepath.Join(f.Name+shard.FolderSuffix, j.UploadID+".image")
		if err := os.Remove(file); err != nil {
			t.Fatal(err)
		}
		if err := put(file); err != nil {
			t.Log(name, err)
			continue
		}
		if err := j.Abort(t.Context(), f); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := os.Lstat(f.Name + shard.FolderSuffix); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: the folder exists: %v", name, err)
		}
	}
}

// TestFinishAtOnce finishes a job in two processes at the same time. The slower one looks before the image exists.
func TestFinishAtOnce(t *testing.T) {
	for name, target := range targets(t) {
		t.Run(name, func(t *testing.T) {
			j := plan(t, target, 1)
			mustRun(t, j, target, 0)
			var once sync.Once
			faster := func() {
				once.Do(func() {
					if _, err := j.Finish(t.Context(), target, shard.FinishOptions{}); err != nil {
						t.Error(err)
					}
				})
			}
			// Before it reads the records, and after it has read the whole image.
			r, err := j.Finish(t.Context(), slower{target, faster}, shard.FinishOptions{})
			if err != nil || !r.Already {
				t.Errorf("records: %+v, %v", r, err)
			}
		})
	}
	f := shard.File{Name: filepath.Join(t.TempDir(), "image")}
	j := plan(t, f, 1)
	mustRun(t, j, f, 0)
	var once sync.Once
	r, err := j.Finish(t.Context(), f, shard.FinishOptions{Progress: func(int64) {
		once.Do(func() {
			if _, err := j.Finish(t.Context(), f, shard.FinishOptions{}); err != nil {
				t.Error(err)
			}
		})
	}})
	if err != nil || !r.Already {
		t.Errorf("completed by another process: %+v, %v", r, err)
	}
	opened(t, f)
}

// slower is a target whose records are read after another process has acted.
type slower struct {
	shard.Target
	before func()
}

func (s slower) Load(ctx context.Context, name string) ([]byte, error) {
	s.before()
	return s.Target.Load(ctx, name)
}

// TestLateImage uses a store that shows the image only some time after the upload has ended.
func TestLateImage(t *testing.T) {
	m := newMemory()
	j := plan(t, m, 1)
	mustRun(t, j, m, 0)
	if _, err := j.Finish(t.Context(), m, shard.FinishOptions{}); err != nil {
		t.Fatal(err)
	}
	m.hidden = 2
	if _, err := run(t.Context(), j, m, 0); !errors.Is(err, shard.ErrGone) {
		t.Errorf("without patience: %v", err)
	}
	m.patience = 10 * time.Millisecond
	m.hidden = 3
	if r, err := run(t.Context(), j, m, 0); err != nil || !r.Finished {
		t.Errorf("run: %+v, %v", r, err)
	}
	m.hidden = 3
	if r, err := j.Finish(t.Context(), m, shard.FinishOptions{}); err != nil || !r.Already {
		t.Errorf("finish: %+v, %v", r, err)
	}
	m.hidden = 1000
	if _, err := run(t.Context(), j, m, 0); !errors.Is(err, shard.ErrGone) {
		t.Errorf("an image that never comes: %v", err)
	}
	if h := advice.Of(shard.ErrGone); !strings.Contains(h, "try again") {
		t.Errorf("the hint for a missing image: %s", h)
	}
}

// TestReady checks that Ready is called only after all other checks.
func TestReady(t *testing.T) {
	called := 0
	refuse := errors.New("not yet")
	plan := func(f shard.File, change func(o *shard.PlanOptions)) error {
		o := options(1)
		o.Ready = func(_ context.Context, j *shard.Job) error {
			called++
			if j.Parts() != 6 || j.UploadID != "" {
				t.Errorf("a job of %d parts, with the upload %q", j.Parts(), j.UploadID)
			}
			return refuse
		}
		change(&o)
		_, err := shard.Plan(t.Context(), f, bytes.NewReader(disk()), key, o)
		if err == nil {
			t.Error("no error")
		}
		if _, e := os.Lstat(f.Name + shard.FolderSuffix); !errors.Is(e, fs.ErrNotExist) {
			t.Errorf("the target has an upload: %v", e)
		}
		return err
	}
	f := shard.File{Name: filepath.Join(t.TempDir(), "image"), Replace: true}
	plan(f, func(o *shard.PlanOptions) { o.PartSize = 1 })
	plan(f, func(o *shard.PlanOptions) { o.Encrypt.Format = "none" })
	plan(shard.File{Name: t.TempDir(), Replace: true}, func(*shard.PlanOptions) {})
	if called > 0 {
		t.Errorf("called %d times before all checks succeeded", called)
	}
	if err := plan(f, func(*shard.PlanOptions) {}); !errors.Is(err, refuse) || called != 1 {
		t.Errorf("called %d times: %v", called, err)
	}
}

// TestAppeared creates a file with the name of the image after the job was planned.
func TestAppeared(t *testing.T) {
	f := shard.File{Name: filepath.Join(t.TempDir(), "image")}
	j := plan(t, f, 1)
	mustRun(t, j, f, 0)
	if err := os.WriteFile(f.Name, []byte("there"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := j.Finish(t.Context(), f, shard.FinishOptions{})
	if !errors.Is(err, fs.ErrExist) || !strings.Contains(advice.Of(err), "move "+f.Name+" away") {
		t.Errorf("%v (%s)", err, advice.Of(err))
	}
	if err := f.Free(); !errors.Is(err, fs.ErrExist) {
		t.Errorf("free: %v", err)
	}
	if err := os.Remove(f.Name); err != nil {
		t.Fatal(err)
	}
	if err := f.Free(); !errors.Is(err, fs.ErrExist) || !strings.Contains(err.Error(), "another job") {
		t.Errorf("free while another job makes it: %v", err)
	}
	if _, err := j.Finish(t.Context(), f, shard.FinishOptions{}); err != nil {
		t.Error(err)
	}
}
