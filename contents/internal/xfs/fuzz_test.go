package xfs

import (
	"bytes"
	"context"
	"encoding/binary"
	"testing"

	"github.com/luksimg/luksimg/contents/internal/bounded"
	"github.com/luksimg/luksimg/contents/internal/tree"
	"github.com/luksimg/luksimg/internal/golden"
)

// A tracer notes where a reader reads.
type tracer struct {
	*bytes.Reader
	at [][2]int64 // offset and length
}

func (t *tracer) ReadAt(p []byte, off int64) (int, error) {
	t.at = append(t.at, [2]int64{off, int64(len(p))})
	return t.Reader.ReadAt(p, off)
}

var fuzzPaths = []string{"/bin/cloud-init", "/etc/os-release", "/links/300", "/links/60", "/files/large", "/files/100", "/var/many/x", "/var/block/x", "/var/leaf/x", "/var/scattered/x"}

// FuzzXFS changes bytes of golden images in places that are read: five bytes of changes
// are which read it is (two bytes), which byte of it (two bytes), and its new value.
func FuzzXFS(f *testing.F) {
	type source struct {
		b     []byte
		trace [][2]int64
	}
	var all []source
	for _, name := range []string{"xfs5", "xfs4"} {
		b := golden.Read("../../../testdata/contents/" + name + ".img.gz")
		tr := &tracer{Reader: bytes.NewReader(b)}
		for _, path := range fuzzPaths {
			read(bounded.New(context.Background(), tr, int64(len(b)), 1<<30, 1<<20), path)
		}
		all = append(all, source{b, tr.at})
	}
	for i := range all {
		f.Add(byte(i), []byte{})
		f.Add(byte(i), []byte{0, 0, 0, 24, 7})
		f.Add(byte(i), []byte{0, 2, 0, 40, 0, 0, 5, 0, 4, 255})
		f.Add(byte(i), []byte{0, 2, 0, 46, 5, 0, 3, 0, 4, 0, 0, 9, 0, 200, 3})
	}
	f.Fuzz(func(t *testing.T, which byte, changes []byte) {
		s := all[int(which)%len(all)]
		type change struct {
			at  int64
			old byte
		}
		var undo []change
		for ; len(changes) >= 5; changes = changes[5:] {
			r := s.trace[int(binary.BigEndian.Uint16(changes))%len(s.trace)]
			at := r[0] + int64(binary.BigEndian.Uint16(changes[2:]))%r[1]
			if at >= int64(len(s.b)) {
				continue
			}
			undo = append(undo, change{at, s.b[at]})
			s.b[at] = changes[4]
		}
		defer func() {
			for i := len(undo) - 1; i >= 0; i-- {
				s.b[undo[i].at] = undo[i].old
			}
		}()
		const most, pieces = 24 << 20, 32 << 10
		src := &counter{ReaderAt: bytes.NewReader(s.b)}
		r := bounded.New(context.Background(), src, int64(len(s.b)), most, pieces)
		fs, err := Open(r)
		if err != nil {
			return
		}
		fs.Warnings()
		root, err := fs.Root()
		if err != nil {
			return
		}
		for _, path := range fuzzPaths {
			n, err := tree.Open(root, path)
			if err != nil {
				continue
			}
			if b, err := n.Content(1 << 16); err == nil && len(b) > 1<<16 {
				t.Fatalf("%d bytes of at most 65536", len(b))
			}
		}
		if src.bytes > most || src.reads > pieces || r.Failure() != nil {
			t.Fatalf("%d bytes in %d pieces were read, failure %v", src.bytes, src.reads, r.Failure())
		}
	})
}
