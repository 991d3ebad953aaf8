package qcow

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"testing"

	"github.com/luksimg/luksimg/image"
	"github.com/luksimg/luksimg/internal/disk"
	"github.com/luksimg/luksimg/internal/imagetest"
)

func TestRead(t *testing.T) {
	for name, m := range imgs() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := m.build()
			d := open(t, w.file, Options{})
			imagetest.Exact(t, d, w.guest)
			if r, err := d.Check(context.Background()); err != nil || r.Corruptions+r.Leaks != 0 {
				t.Errorf("Check: %+v, %v", r, err)
			}
		})
	}
}

func TestSnapshot(t *testing.T) {
	w := img{size: 90_000, snapshot: true}.build()
	for _, s := range []string{"1", "snap"} {
		d := open(t, w.file, Options{Snapshot: s})
		imagetest.Exact(t, d, w.guest)
	}
	if _, err := Open(t.Context(), bytes.NewReader(w.file), int64(len(w.file)), Options{Snapshot: "x"}); !errors.Is(err, ErrSnapshot) {
		t.Errorf("got %v", err)
	}
}

// memory resolves names to files in memory.
func memory(files map[string][]byte, asked *[]image.Ref) func(image.Ref) (image.Source, error) {
	return func(r image.Ref) (image.Source, error) {
		*asked = append(*asked, r)
		b, ok := files[r.Name()]
		if !ok {
			return nil, fmt.Errorf("no file %q", r.Name())
		}
		if !Detect(bytes.NewReader(b), int64(len(b))) {
			return bytes.NewReader(b), nil
		}
		opts := r.Options.(Options)
		opts.ID = r.Name()
		return Open(context.Background(), bytes.NewReader(b), int64(len(b)), opts)
	}
}

func TestBacking(t *testing.T) {
	top := img{size: 70_000, bits: 12, kinds: "d-h", backing: "base"}.build()
	for _, baseSize := range []int64{0, 1, 511, 40_001, 70_000, 100_000} {
		base := make([]byte, baseSize)
		imagetest.Fill(rand.New(rand.NewPCG(1, 1)), base)
		var asked []image.Ref
		d := open(t, top.file, Options{Resolve: memory(map[string][]byte{"base": base}, &asked)})
		want := bytes.Clone(top.guest)
		for pos := int64(0); pos < d.Size(); {
			r, err := d.disk.Next(pos, d.Size())
			if err != nil {
				t.Fatal(err)
			}
			if r.Kind == disk.Absent && pos < baseSize {
				copy(want[pos:pos+r.N], base[pos:])
			}
			pos += r.N
		}
		imagetest.Exact(t, d, want)
		if len(asked) != 1 || asked[0].Name() != "base" || asked[0].Depth != 1 || asked[0].What == "external data file" {
			t.Errorf("Resolve was called with %+v", asked)
		}
	}
}

func TestBackingRefused(t *testing.T) {
	top := img{size: 70_000, bits: 12, backing: "/etc/passwd", exts: ext(extBackingFormat, "raw")}.build()
	_, err := Open(t.Context(), bytes.NewReader(top.file), int64(len(top.file)), Options{})
	var refused *image.RefusedError
	if !errors.As(err, &refused) || refused.Ref.Name() != "/etc/passwd" || refused.Ref.Format != "raw" {
		t.Fatalf("got %v", err)
	}
	d := open(t, top.file, Options{MetadataOnly: true})
	if _, err := d.ReadAt(make([]byte, 1), 0); err == nil || err == io.EOF {
		t.Errorf("read: %v", err)
	}
	for _, err := range d.Extents(0, 1) {
		if err == nil {
			t.Error("Extents succeeded on a disk opened for metadata only")
		}
	}
	if i, err := d.Info(context.Background()); err != nil || i.BackingFile != "/etc/passwd" || i.AllocatedBytes == 0 {
		t.Errorf("%+v, %v", i, err)
	}
}

func TestBackingLoops(t *testing.T) {
	a := img{size: 1000, backing: "b"}.build().file
	b := img{size: 1000, backing: "a"}.build().file
	self := img{size: 1000, backing: "self"}.build().file
	var asked []image.Ref
	files := map[string][]byte{"a": a, "b": b, "self": self}
	for name, file := range files {
		asked = nil
		_, err := Open(t.Context(), bytes.NewReader(file), int64(len(file)), Options{ID: name, Resolve: memory(files, &asked)})
		if !errors.Is(err, image.ErrFormat) || len(asked) > 3 {
			t.Errorf("%s: %v, Resolve called %d times", name, err, len(asked))
		}
	}
	// Without IDs, the limit on the length ends the chain.
	n := 0
	resolve := func(r image.Ref) (image.Source, error) {
		n++
		return Open(t.Context(), bytes.NewReader(self), int64(len(self)), r.Options.(Options))
	}
	if _, err := Open(t.Context(), bytes.NewReader(self), int64(len(self)), Options{Resolve: resolve}); !errors.Is(err, image.ErrUnsupported) || n > disk.MaxChain+1 {
		t.Errorf("%v after %d files", err, n)
	}
}

func TestReadErrors(t *testing.T) {
	w := img{size: 60_000, kinds: "dc"}.build()
	imagetest.ReadErrors(t, bytes.NewReader(w.file), w.guest, 40, func(r io.ReaderAt) (image.Source, error) {
		return Open(t.Context(), r, int64(len(w.file)), Options{})
	})
}
