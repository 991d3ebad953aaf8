package cos_test

import (
	"bytes"
	"strings"
	"sync"
	"testing"

	"github.com/luksimg/luksimg/ibm/cos"
)

// TestSinkGaps writes blocks with gaps between, from several goroutines, and the front last.
// Without Gaps too many parts would be incomplete.
func TestSinkGaps(t *testing.T) {
	s := newService(t)
	c := client(t, cos.Options{Endpoint: s.URL, HMAC: hmacKey()})
	const size, block, gap = 62*mib + 345, 64 << 10, 512
	want := noise(size, 12)
	var mu sync.Mutex
	next := int64(4096)
	write := func(k *cos.Sink) error {
		for {
			mu.Lock()
			from := next
			next += block + gap
			mu.Unlock()
			if from+block > size {
				return nil
			}
			if _, err := k.WriteAt(want[from:from+block], from); err != nil {
				return err
			}
		}
	}
	run := func(gaps bool) error {
		next = 4096
		k, err := c.NewSink(ctx, object("x"), size, cos.SinkOptions{PartSize: 5 * mib, Open: 6, Gaps: gaps})
		if err != nil {
			t.Fatal(err)
		}
		defer k.Abort()
		errs := make(chan error, 3)
		for range cap(errs) {
			go func() { errs <- write(k) }()
		}
		for range cap(errs) {
			if e := <-errs; err == nil {
				err = e
			}
		}
		if err != nil {
			return err
		}
		// The first part is still open; sent parts are not.
		if _, err := k.WriteAt(want[:4096], 0); err != nil {
			return err
		}
		if _, err := k.WriteAt(want[6*mib:][:1], 6*mib); err == nil || !strings.Contains(err.Error(), "already been sent") {
			t.Errorf("write to a sent part: %v", err)
		}
		return k.Close()
	}
	if err := run(false); err == nil || !strings.Contains(err.Error(), "incomplete") {
		t.Errorf("without Gaps: %v", err)
	}
	clean(t, c)
	if err := run(true); err != nil {
		t.Fatal(err)
	}
	from := int64(4096)
	for ; from+block <= size; from += block + gap {
		clear(want[from+block : min(from+block+gap, size)])
	}
	clear(want[min(from, size):])
	if !bytes.Equal(s.stored(t, "x"), want) {
		t.Error("the object differs from the written data")
	}
	clean(t, c)
}
