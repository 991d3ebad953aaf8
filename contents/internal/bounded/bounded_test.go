package bounded

import (
	"bytes"
	"context"
	"errors"
	"io"
	"testing"
)

func TestRead(t *testing.T) {
	src := bytes.NewReader([]byte("0123456789"))
	r := New(context.Background(), src, 10, 100, 6)
	s := r.Section(2, 5, 8, 3)
	for _, c := range []struct {
		name string
		r    *Reader
		off  int64
		n    int
		want string
		err  error
	}{
		{"whole", r, 0, 10, "0123456789", nil},
		{"part", s, 1, 4, "3456", nil},
		{"past the part", s, 1, 5, "", ErrRange},
		{"before it", s, -1, 2, "", ErrRange},
		{"far past it", s, 1 << 62, 2, "", ErrRange},
		{"again", s, 0, 3, "234", nil},
		{"too many bytes", s, 0, 2, "", ErrLimit},
		{"last read", s, 0, 1, "2", nil},
		{"too many reads", s, 0, 0, "", ErrLimit},
		{"the whole has more", r, 9, 1, "9", nil},
		{"and one", r, 0, 1, "0", nil},
		{"no more", r, 0, 1, "", ErrLimit},
	} {
		p := make([]byte, c.n)
		err := c.r.Read(p, c.off)
		if !errors.Is(err, c.err) || err == nil && string(p) != c.want {
			t.Errorf("%s: Read: got %q, %v", c.name, p, err)
		}
	}
	if err := r.Failure(); err != nil {
		t.Errorf("a refused read counts as a failure: %v", err)
	}
}

func TestSectionIsClipped(t *testing.T) {
	r := New(context.Background(), bytes.NewReader(make([]byte, 10)), 10, 100, 100)
	for _, c := range []struct{ off, n, want int64 }{{0, 10, 10}, {4, 100, 6}, {4, 1<<63 - 1, 6}, {11, 1, 0}, {1 << 62, 1 << 62, 0}, {3, -1, 0}} {
		if got := r.Section(c.off, c.n, 1, 1).Size(); got != c.want {
			t.Errorf("Section(%d, %d) has %d bytes, want %d", c.off, c.n, got, c.want)
		}
	}
	b, err := r.Bytes(7, 100)
	if len(b) != 3 || err != nil {
		t.Errorf("%d bytes at the end, %v", len(b), err)
	}
	if _, err := r.Bytes(11, 1); !errors.Is(err, ErrRange) {
		t.Errorf("past the end: %v", err)
	}
}

func TestFailure(t *testing.T) {
	short := New(context.Background(), bytes.NewReader(make([]byte, 4)), 10, 100, 100)
	part := short.Section(2, 8, 100, 100)
	if err := part.Read(make([]byte, 4), 0); err != io.ErrUnexpectedEOF || short.Failure() != err {
		t.Errorf("a source shorter than its size: %v, %v", err, short.Failure())
	}
	if err := short.Read(make([]byte, 1), 0); err != io.ErrUnexpectedEOF {
		t.Errorf("after a failure: %v", err)
	}
	why := errors.New("enough")
	ctx, cancel := context.WithCancelCause(context.Background())
	cancel(why)
	r := New(ctx, bytes.NewReader(make([]byte, 10)), 10, 100, 100)
	if err := r.Read(make([]byte, 1), 0); err != why || r.Failure() != why {
		t.Errorf("cancelled: %v", err)
	}
}
