package files

import (
	"bytes"
	"context"
	"io/fs"
	"path"
	"strings"
	"testing"

	"github.com/luksimg/luksimg/contents/internal/fstest"
	"github.com/luksimg/luksimg/image"
)

// FuzzFiles changes bytes of golden images at places that a full listing and reading accesses. Each change
// has five bytes: the index of the access, the offset in it, and the new value.
func FuzzFiles(f *testing.F) {
	var images [][]byte
	var traces [][][2]int64
	for i, name := range []string{"comb", "ext2", "ext4", "xfs4", "xfs5"} {
		b := goldenImage(name)
		tr := &fstest.Tracer{Reader: bytes.NewReader(b)}
		all(f, tr, 2000)
		images, traces = append(images, b), append(traces, tr.At)
		f.Add(byte(i), []byte{})
		f.Add(byte(i), []byte{0, 0, 4, 24, 7, 0, 30, 0, 4, 1})
		f.Add(byte(i), []byte{0, 40, 0, 6, 200, 0, 41, 0, 0, 2})
	}
	f.Fuzz(func(t *testing.T, which byte, changes []byte) {
		b, trace := images[int(which)%len(images)], traces[int(which)%len(images)]
		defer fstest.Change(b, trace, changes)()
		all(t, bytes.NewReader(b), 500)
	})
}

// all walks through at most left entries and reads a part of each file.
func all(t testing.TB, src image.Source, left int) {
	f, err := Open(context.Background(), src)
	if err != nil {
		return
	}
	f.runs = 20000
	buf := make([]byte, 64<<10)
	var walk func(n *File, dir string)
	walk = func(n *File, dir string) {
		for n, err := range n.Entries() {
			if left--; left < 0 {
				return
			}
			if n == nil {
				if err == nil {
					t.Fatal("neither a file nor an error")
				}
				return
			}
			if err != nil {
				continue
			}
			if n.Name == "" || n.Name == "." || n.Name == ".." || strings.ContainsAny(n.Name, "/\x00") {
				t.Fatalf("invalid name %q in %s", n.Name, dir)
			}
			if target, err := n.Target(); err == nil && len(target) > 4096 {
				t.Fatalf("%s: a target of %d bytes", n.Name, len(target))
			}
			if c, err := n.Content(); err == nil {
				c.ReadAt(buf, max(0, c.Size()-int64(len(buf))))
				at := int64(0)
				for e, err := range c.Extents(0, c.Size()) {
					if err == nil && (e.Offset != at || e.Length < 1 || e.End() > c.Size()) {
						t.Fatalf("%s: %+v at %d of %d", n.Name, e, at, c.Size())
					}
					at = e.End()
				}
			}
			if n.Mode&fs.ModeDir != 0 && strings.Count(dir, "/") < 8 {
				walk(n, path.Join(dir, n.Name))
			}
		}
	}
	if root, err := f.Find("/"); err == nil {
		walk(root, "/")
	}
}
