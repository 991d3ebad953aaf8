package luksimg_test

import (
	"context"
	"errors"
	"sync"
	"testing"

	"github.com/luksimg/luksimg"
)

// A gate is a disk whose first piece, or whose other pieces, cannot be read until a channel is
// closed.
type gate struct {
	*disk
	first bool // the first piece waits
	begun func()
	open  chan bool
}

func (g *gate) ReadAt(p []byte, off int64) (int, error) {
	g.begun()
	if g.first == (off == 0) {
		<-g.open
	}
	return g.disk.ReadAt(p, off)
}

// TestVerifyOrder has two workers, each with a piece that differs. The error must report the first
// difference, whichever piece is compared first.
func TestVerifyOrder(t *testing.T) {
	const size = 4 << 20
	src := newDisk(size)
	for _, firstWaits := range []bool{true, false} {
		other := newDisk(size)
		for off := 100; off < size; off += 64 << 10 {
			other.b[off] ^= 1
		}
		g := &gate{disk: other, first: firstWaits, open: make(chan bool)}
		// The piece that does not wait is compared after both pieces were read.
		both := make(chan bool)
		var n int
		var mu sync.Mutex
		g.begun = func() {
			mu.Lock()
			if n++; n == 2 {
				close(both)
			}
			mu.Unlock()
			<-both
		}
		var once sync.Once
		o := luksimg.VerifyOptions{RunOptions: luksimg.RunOptions{Jobs: 2, Progress: func(int64) { once.Do(func() { close(g.open) }) }}}
		err := luksimg.Verify(context.Background(), src, g, o)
		m := new(luksimg.MismatchError)
		if !errors.As(err, &m) || m.Offset != 100 {
			t.Errorf("first piece compared last: %v: %v", firstWaits, err)
		}
	}
}
