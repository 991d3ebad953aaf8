package vhd

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"testing"

	"github.com/luksimg/luksimg/internal/pieces"
	"github.com/luksimg/luksimg/internal/spans"
)

// A window is a part of a file in memory. It discards writes outside that part.
type window struct {
	b   []byte
	off int64
}

func (w window) WriteAt(p []byte, off int64) (int, error) {
	if from, to := max(off, w.off), min(off+int64(len(p)), w.off+int64(len(w.b))); from < to {
		copy(w.b[from-w.off:to-w.off], p[from-off:])
	}
	return len(p), nil
}

// whole is a file that is written in one go.
type whole struct{ b []byte }

func (w *whole) WriteAt(p []byte, off int64) (int, error) {
	if n := off + int64(len(p)); n > int64(len(w.b)) {
		w.b = append(w.b, make([]byte, n-int64(len(w.b)))...)
	}
	return copy(w.b[off:], p), nil
}

// TestLayout writes encrypted disks in parts of various sizes and compares them with the files that
// Create makes.
func TestLayout(t *testing.T) {
	key := []byte("0123456789abcdefghijklmnopqrstuvwxyz0123456789ABCDEFGHIJKLMNOPQR")
	for _, size := range []int{0, 1, 2 << 20, 13<<20 + 777} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			src := make([]byte, size)
			rand.NewChaCha8([32]byte{1}).Read(src)
			if size > 9<<20 {
				clear(src[2<<20 : 4<<20])
				clear(src[8<<20 : 10<<20])
			}
			var used spans.List
			for at := 0; at < size; at += 2 << 20 {
				if !pieces.IsZero(src[at:min(at+2<<20, size)]) {
					used.Add(int64(at>>21), 1)
				}
			}
			id, err := NewIdentity(key)
			if err != nil {
				t.Fatal(err)
			}
			want := &whole{}
			made, err := Create(t.Context(), want, bytes.NewReader(src), CreateOptions{Key: key, UniqueID: id.UniqueID, Timestamp: id.Timestamp,
				Rand: io.MultiReader(bytes.NewReader(id.KeyNonce[:])), Jobs: 1})
			if err != nil {
				t.Fatal(err)
			}
			l, err := NewLayout(int64(size), used, id)
			if err != nil || l.Size() != made.FileSize || l.VirtualSize() != made.VirtualSize || id.UUID() != made.UniqueID {
				t.Fatalf("%v, %d bytes, want %d", err, l.Size(), made.FileSize)
			}
			c, err := l.Cipher(key)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := l.Cipher(bytes.Repeat([]byte("x"), 64)); !errors.Is(err, ErrKey) {
				t.Errorf("Cipher with a wrong key: %v", err)
			}
			got := make([]byte, l.Size())
			rnd := rand.New(rand.NewPCG(uint64(size), 8))
			for at := int64(0); at < l.Size(); {
				end := min(l.Size(), at+1+rnd.Int64N(int64(size)/3+70_000))
				if err := l.WriteRange(t.Context(), window{got[at:end], at}, bytes.NewReader(src), c, at, end, 2, func(int64) {}); err != nil {
					t.Fatal(err)
				}
				at = end
			}
			if !bytes.Equal(got, want.b) {
				t.Error("the file differs from that of Create")
			}
			if !bytes.HasPrefix(got, l.Head()) {
				t.Error("Head differs from the start of the file")
			}
		})
	}
	var used spans.List
	used.Add(0, 3)
	if _, err := NewLayout(2<<21, used, Identity{UniqueID: [16]byte{1}}); err == nil {
		t.Error("NewLayout accepts a block past the end, or an identity without a timestamp")
	}
}
