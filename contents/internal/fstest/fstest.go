// Package fstest contains shared tests for readers of filesystems. They read damaged images within
// limits, and change bytes of valid images where they are read.
package fstest

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"strings"
	"testing"

	"github.com/luksimg/luksimg/contents/internal/bounded"
	"github.com/luksimg/luksimg/contents/internal/tree"
	"github.com/luksimg/luksimg/internal/imagetest"
)

// Root opens a filesystem and returns its root.
type Root func(r *bounded.Reader) (tree.Node, error)

// read finds a path and reads the file there, up to limit bytes.
func (root Root) read(r *bounded.Reader, path string, limit int) ([]byte, error) {
	n, err := root(r)
	if err != nil {
		return nil, err
	}
	if n, err = tree.Open(n, path); err != nil || n.Kind() == tree.Dir {
		return nil, err
	}
	return n.Content(limit)
}

// ErrAny stands for any error or none.
var ErrAny = errors.New("any error, or none")

// Hostile reads a path of an image. The error must be of this kind and contain text. At most the
// given number of bytes can be read, in as many pieces of 1 KiB.
func Hostile(t *testing.T, root Root, image []byte, path, text string, kind error, most int64) {
	t.Helper()
	src := &imagetest.Counter{ReaderAt: bytes.NewReader(image)}
	b, err := root.read(bounded.New(context.Background(), src, int64(len(image)), 24<<20, 32<<10), path, 1<<20)
	switch {
	case kind == ErrAny:
	case !errors.Is(err, kind):
		t.Errorf("%v, want %v", err, kind)
	case err != nil && !strings.Contains(err.Error(), text):
		t.Errorf("message %q lacks %q", err, text)
	}
	if n, pieces := src.Bytes.Load(), src.Reads.Load(); n > most || pieces > most>>10 || len(b) > 1<<20 {
		t.Errorf("%d bytes in %d pieces were read, for %d", n, pieces, len(b))
	}
}

// A Tracer records the reads of a reader.
type Tracer struct {
	*bytes.Reader
	At [][2]int64 // offset and length
}

// ReadAt records and performs a read.
func (t *Tracer) ReadAt(p []byte, off int64) (int, error) {
	t.At = append(t.At, [2]int64{off, int64(len(p))})
	return t.Reader.ReadAt(p, off)
}

// Fuzz changes bytes of images where they are read. Five bytes encode a change: the number of the
// read (two bytes), the byte in it (two bytes), and its new value.
func Fuzz(f *testing.F, root Root, paths []string, images ...[]byte) {
	var traces [][][2]int64
	for i, b := range images {
		tr := &Tracer{Reader: bytes.NewReader(b)}
		for _, path := range paths {
			root.read(bounded.New(context.Background(), tr, int64(len(b)), 1<<30, 1<<20), path, 1<<20)
		}
		traces = append(traces, tr.At)
		f.Add(byte(i), []byte{})
		f.Add(byte(i), []byte{0, 0, 0, 24, 7})
		f.Add(byte(i), []byte{0, 2, 0, 40, 0, 0, 5, 0, 4, 255})
		f.Add(byte(i), []byte{0, 2, 0, 46, 5, 0, 3, 0, 4, 0, 0, 9, 0, 200, 3})
	}
	f.Fuzz(func(t *testing.T, which byte, changes []byte) {
		b, trace := images[int(which)%len(images)], traces[int(which)%len(images)]
		defer Change(b, trace, changes)()
		const most, pieces = 24 << 20, 32 << 10
		src := &imagetest.Counter{ReaderAt: bytes.NewReader(b)}
		r := bounded.New(context.Background(), src, int64(len(b)), most, pieces)
		n, err := root(r)
		if err != nil {
			return
		}
		for _, path := range paths {
			n, err := tree.Open(n, path)
			if err != nil {
				continue
			}
			if b, err := n.Content(1 << 16); err == nil && len(b) > 1<<16 {
				t.Fatalf("%d bytes of at most 65536", len(b))
			}
			walk(t, n)
		}
		if n, k := src.Bytes.Load(), src.Reads.Load(); n > most || k > pieces || r.Failure() != nil {
			t.Fatalf("%d bytes in %d pieces were read, failure %v", n, k, r.Failure())
		}
	})
}

// walk visits the entries of a folder and the runs of a file, up to a limit.
func walk(t *testing.T, n tree.Node) {
	left := 100
	n.Entries(func(_ string, open func() (tree.Node, error)) bool {
		open()
		left--
		return left > 0
	})
	for off, size := int64(0), n.Attr().Size; n.Kind() == tree.File && off < size && left > 0; left-- {
		r, err := n.Run(off)
		if err != nil {
			return
		}
		if r.Length < 1 || r.Length > size-off || r.At < 0 || r.Inode != nil && r.Length != int64(len(r.Inode)) {
			t.Fatalf("at %d of %d: %+v", off, size, r)
		}
		off += r.Length
	}
}

// Change changes bytes of b where it was read. The returned function restores them.
func Change(b []byte, trace [][2]int64, changes []byte) (undo func()) {
	good := map[int64]byte{}
	for ; len(changes) >= 5; changes = changes[5:] {
		r := trace[int(binary.BigEndian.Uint16(changes))%len(trace)]
		at := r[0] + int64(binary.BigEndian.Uint16(changes[2:]))%r[1]
		if at >= int64(len(b)) {
			continue
		}
		if _, ok := good[at]; !ok {
			good[at] = b[at]
		}
		b[at] = changes[4]
	}
	return func() {
		for at, v := range good {
			b[at] = v
		}
	}
}
