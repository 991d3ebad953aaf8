//go:build unix

package shard_test

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/luksimg/luksimg/shard"
)

// TestFIFO puts a FIFO in the place of a record. Reading must not block.
func TestFIFO(t *testing.T) {
	f := shard.File{Name: filepath.Join(t.TempDir(), "image")}
	j := plan(t, f, 1)
	mustRun(t, j, f, 0)
	file := record(f, j, "0")
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(file, 0o600); err != nil {
		t.Fatal(err)
	}
	if all, err := j.Status(t.Context(), f); err != nil || all[0].State != shard.Damaged {
		t.Errorf("status: %v, %v", all, err)
	}
	if _, err := j.Finish(t.Context(), f, shard.FinishOptions{}); !errors.Is(err, shard.ErrRecord) {
		t.Errorf("finish: %v", err)
	}
	mustRun(t, j, f, 0)
	if _, err := j.Finish(t.Context(), f, shard.FinishOptions{}); err != nil {
		t.Error(err)
	}
}
