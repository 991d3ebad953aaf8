//go:build unix

package main

import (
	"bytes"
	"context"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/luksimg/luksimg/cmd/luksimg/internal/exit"
)

// TestWaitingForInput sends a signal to runs that wait for standard input or for a pipe without a writer. They must
// end at once and leave no files.
func TestWaitingForInput(t *testing.T) {
	t.Chdir(t.TempDir())
	for _, name := range []string{"key", "disk"} {
		if err := os.WriteFile(name, make([]byte, 4096), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := syscall.Mkfifo("pipe", 0o600); err != nil {
		t.Skip(err)
	}
	stdin := os.Stdin
	defer func() { os.Stdin = stdin }()
	for _, line := range []string{
		"encrypt --key-file key - out",
		"encrypt --key-file key pipe out",
		"encrypt --key-file - disk out",
		"encrypt --key-file pipe disk out",
		"decrypt --key-file key - out",
		"decrypt --key-file key pipe out",
		"decrypt --header - --key-file key disk out",
		"header restore disk -",
		"unwrap --envelope - --kms local:key out",
		"audit --image x -",
	} {
		t.Run(line, func(t *testing.T) {
			r, w, err := os.Pipe()
			if err != nil {
				t.Fatal(err)
			}
			defer w.Close()
			os.Stdin = r
			ctx, cancel := context.WithCancel(context.Background())
			time.AfterFunc(20*time.Millisecond, cancel)
			var stdout, stderr bytes.Buffer
			if code := run(ctx, strings.Fields(line), &stdout, &stderr); code != exit.Cancelled {
				t.Errorf("exit code %d, %s", code, stderr.String())
			}
			if entries, _ := os.ReadDir("."); len(entries) != 3 {
				t.Errorf("left: %v", entries)
			}
		})
	}
}
