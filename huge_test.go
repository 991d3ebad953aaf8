package luksimg

import (
	"errors"
	"iter"
	"sync/atomic"
	"testing"

	"github.com/luksimg/luksimg/image"
	"github.com/luksimg/luksimg/internal/engine"
	"github.com/luksimg/luksimg/luks"
)

// huge is a disk of 2^56 bytes. Only 1 MiB at 2^55 is data: each byte there holds its offset in MiB. It
// counts the calls.
type huge struct {
	text  byte
	reads atomic.Int64
}

const (
	hugeSize = 1 << 56
	hugeData = 1 << 55
)

func (h *huge) Size() int64 { return hugeSize }

func (h *huge) ReadAt(p []byte, off int64) (int, error) {
	h.reads.Add(1)
	for i := range p {
		p[i] = 0
		if at := off + int64(i); at >= hugeData && at < hugeData+1<<20 {
			p[i] = h.text
		}
	}
	return len(p), nil
}

func (h *huge) Extents(off, n int64) iter.Seq2[image.Extent, error] {
	return func(yield func(image.Extent, error) bool) {
		for _, e := range []image.Extent{{Offset: 0, Length: hugeData, Kind: image.Hole}, {Offset: hugeData, Length: 1 << 20}, {Offset: hugeData + 1<<20, Length: hugeSize - hugeData - 1<<20, Kind: image.Zero}} {
			from, to := max(off, e.Offset), min(off+n, e.End())
			if from < to && !yield(image.Extent{Offset: from, Length: to - from, Kind: e.Kind}, nil) {
				return
			}
		}
	}
}

// sparse is a file that records writes.
type sparse struct {
	bytes, first atomic.Int64
}

func (s *sparse) WriteAt(p []byte, off int64) (int, error) {
	s.bytes.Add(int64(len(p)))
	s.first.CompareAndSwap(0, off)
	return len(p), nil
}

// TestHuge checks that the cost of a job depends on the data of a disk, not on its size. A loop over
// the whole disk would not end.
func TestHuge(t *testing.T) {
	ctx := t.Context()
	var done atomic.Int64
	run := RunOptions{Progress: func(n int64) { done.Add(n) }, Jobs: 1}
	check := func(what string, total int64, h *huge) {
		t.Helper()
		if n := done.Swap(0); n != total {
			t.Errorf("%s: progress of %d bytes, want %d", what, n, total)
		}
		if n := h.reads.Swap(0); n > 8 {
			t.Errorf("%s: %d reads", what, n)
		}
	}
	h := &huge{text: 'a'}

	var dst sparse
	if _, err := Decrypt(ctx, &dst, h, DecryptOptions{RunOptions: run}); err != nil {
		t.Fatal(err)
	}
	check("Decrypt", hugeSize, h)
	if dst.bytes.Load() != 1<<20 || dst.first.Load() != hugeData {
		t.Errorf("Decrypt: %d bytes at %d", dst.bytes.Load(), dst.first.Load())
	}

	same, other := &huge{text: 'a'}, &huge{text: 'b'}
	for _, skip := range []bool{false, true} {
		if err := Verify(ctx, h, same, VerifyOptions{RunOptions: run, SkipZeros: skip}); err != nil {
			t.Error(err)
		}
		check("Verify", hugeSize, h)
		var mismatch *MismatchError
		if err := Verify(ctx, h, other, VerifyOptions{RunOptions: run, SkipZeros: skip}); !errors.As(err, &mismatch) || mismatch.Offset != hugeData {
			t.Errorf("Verify: %v", err)
		}
		h.reads.Store(0)
		done.Store(0)
	}

	if used, err := (engine.Scan{Source: h, Unit: 64 << 10, Workers: run.workers()}).Run(ctx); err != nil || used.Len() != 16 {
		t.Errorf("scan: %d units, %v", used.Len(), err)
	}
	check("scan", hugeSize, h)

	var out sparse
	r, err := Encrypt(ctx, &out, h, []byte("key"), EncryptOptions{DiscardZeros: true, RunOptions: run,
		LUKS: luks.Options{KDF: luks.KDF{Type: luks.PBKDF2, Iterations: 1000}, DataOffset: 1 << 20}})
	if err != nil || r.VolumeSize != hugeSize || out.first.Load() != hugeData+1<<20 {
		t.Errorf("Encrypt: %+v, first write at %d, %v", r, out.first.Load(), err)
	}
	check("Encrypt", hugeSize, h)
}
