package vhd

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/luksimg/luksimg/internal/imagetest"
)

// A journal is a file that records the order of operations.
type journal struct {
	memory
	mu     sync.Mutex
	events []string
	fail   error // error of Sync
}

func (j *journal) note(event string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.events = append(j.events, event)
}

func (j *journal) WriteAt(p []byte, off int64) (int, error) {
	event := "write"
	if bytes.HasPrefix(p, []byte(footerCookie)) {
		event = fmt.Sprintf("footer at %d", off)
	}
	j.note(event)
	return j.memory.WriteAt(p, off)
}

func (j *journal) Sync() error {
	j.note("sync")
	return j.fail
}

// TestCreateSyncsBeforeFooters checks that all other data is durable before a footer is written.
// Otherwise a power failure could leave a footer without its data.
func TestCreateSyncsBeforeFooters(t *testing.T) {
	guest := random(5 << 19)
	for name, opts := range map[string]CreateOptions{"dynamic": {}, "fixed": {Type: Fixed}, "encrypted": {Key: random(64)}} {
		t.Run(name, func(t *testing.T) {
			j := &journal{memory: memory{}}
			r, err := Create(context.Background(), j, bytes.NewReader(guest), opts)
			if err != nil {
				t.Fatal(err)
			}
			want := []string{"sync", "footer at 0", fmt.Sprintf("footer at %d", r.FileSize-footerSize)}
			if opts.Type == Fixed {
				want = slices.Delete(want, 1, 2)
			}
			last := j.events[max(0, len(j.events)-len(want)):]
			if !slices.Equal(last, want) || slices.Index(j.events, "sync") != len(j.events)-len(want) {
				t.Errorf("the last operations are %q, want %q", last, want)
			}
			j = &journal{memory: memory{}, fail: imagetest.ErrDevice}
			_, err = Create(context.Background(), j, bytes.NewReader(guest), opts)
			if !errors.Is(err, imagetest.ErrDevice) || Detect(bytes.NewReader(j.b), int64(len(j.b))) {
				t.Errorf("a failed Sync: %v", err)
			}
		})
	}
}
