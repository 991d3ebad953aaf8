//go:build unix

package main

import (
	"errors"
	"io/fs"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/luksimg/luksimg/cmd/luksimg/internal/exit"
)

// TestPlanOfChangedDisk changes the disk after shard plan has opened it, when it reads the key. The plan must fail,
// without a job and a new image.
func TestPlanOfChangedDisk(t *testing.T) {
	t.Chdir(t.TempDir())
	noise(t, "disk.raw", 1<<20)
	if err := syscall.Mkfifo("key", 0o600); err != nil {
		t.Fatal(err)
	}
	changed := make(chan error, 1)
	go func() {
		pipe, err := os.OpenFile("key", os.O_WRONLY, 0) // waits for the reader
		if err != nil {
			changed <- err
			return
		}
		disk, err := os.OpenFile("disk.raw", os.O_WRONLY|os.O_APPEND, 0)
		if err == nil {
			_, err = disk.Write(make([]byte, 512))
			err = errors.Join(err, disk.Close())
		}
		_, wrote := pipe.WriteString("a key")
		changed <- errors.Join(err, wrote, pipe.Close())
	}()
	code, out := runIn(t.Context(), "shard", "plan", "--key-file", "key", "--format", "luks1", "--pbkdf-force-iterations", "1000", "--part-size", "5M", "disk.raw", "image", "job")
	if err := <-changed; err != nil {
		t.Fatal(err)
	}
	if code != exit.Failure || !strings.Contains(out, "disk.raw") || !strings.Contains(out, "stop the program that writes to it") {
		t.Errorf("exit code %d: %s", code, out)
	}
	for _, name := range []string{"job", "image"} {
		if _, err := os.Stat(name); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s exists: %v", name, err)
		}
	}
}
