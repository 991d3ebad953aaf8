package vmdk

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/luksimg/luksimg/image"
	"github.com/luksimg/luksimg/internal/disk"
	"github.com/luksimg/luksimg/internal/imagetest"
)

func TestParent(t *testing.T) {
	for name, m := range map[string]img{
		"sparse":      {sectors: 3000, kinds: "-d", seed: 1},
		"zero grains": {sectors: 3000, version: 2, kinds: "-hd", grain: 8, entries: 4, late: true, seed: 2},
		"compressed":  {sectors: 3000, version: 3, compress: true, markers: true, kinds: "-hd", seed: 3},
		"empty":       {sectors: 3000, kinds: "-"},
	} {
		m.parent, m.hint = "000012ab", "base"
		top := m.build()
		m.defaults()
		for _, sectors := range []int64{1, 777, 3000, 5000} {
			base := img{sectors: sectors, cid: "12AB", kinds: "-d", grain: 16, seed: 9}.build()
			raw := imagetest.Noise(sectors*sectorSize, 4)
			for kind, file := range map[string][]byte{"vmdk": base.file, "raw": raw} {
				content := base.guest
				if kind == "raw" {
					content = raw
				}
				want := bytes.Clone(top.guest)
				for k, none := range top.none {
					if pos := int64(k) * m.grain * sectorSize; none && pos < int64(len(content)) {
						end := min(pos+m.grain*sectorSize, int64(len(want)))
						copy(want[pos:end], content[pos:])
					}
				}
				var asked []image.Ref
				d := open(t, top.file, Options{ID: "top", Resolve: memory(map[string][]byte{"base": file}, &asked)})
				t.Run(name+" on "+kind, func(t *testing.T) { imagetest.Exact(t, d, want) })
				if len(asked) != 1 || asked[0].What != "parent disk" || asked[0].Name() != "base" || asked[0].Depth != 1 {
					t.Errorf("resolved %+v", asked)
				}
			}
		}
	}
}

// TestParentSplit checks that an extent of a split delta disk reads its parent at the extent's place in the
// disk.
func TestParentSplit(t *testing.T) {
	a := img{sectors: 1000, bare: true, seed: 1}.build()
	b := img{sectors: 1000, bare: true, seed: 2}.build()
	base := imagetest.Noise(2000*sectorSize, 3)
	want := append(bytes.Clone(a.guest), b.guest...)
	for i, v := range want {
		if v == 0 {
			want[i] = base[i]
		}
	}
	text := "version=1\nCID=1\nparentCID=2\nparentFileNameHint=\"base\"\ncreateType=\"twoGbMaxExtentSparse\"\nRW 1000 SPARSE \"a\"\nRW 1000 SPARSE \"b\"\n"
	var asked []image.Ref
	imagetest.Exact(t, open(t, []byte(text), Options{Resolve: memory(map[string][]byte{"a": a.file, "b": b.file, "base": base}, &asked)}), want)
}

func TestParentMismatch(t *testing.T) {
	top := img{sectors: 100, parent: "1", hint: "base"}.build()
	base := img{sectors: 100, cid: "2"}.build()
	var asked []image.Ref
	_, err := Open(context.Background(), bytes.NewReader(top.file), int64(len(top.file)), Options{Resolve: memory(map[string][]byte{"base": base.file}, &asked)})
	if !errors.Is(err, image.ErrFormat) || !strings.Contains(err.Error(), "00000002") {
		t.Errorf("got %v", err)
	}
}

func TestParentLoops(t *testing.T) {
	a := img{sectors: 10, cid: "1", parent: "1", hint: "b"}.build().file
	b := img{sectors: 10, cid: "1", parent: "1", hint: "a"}.build().file
	self := img{sectors: 10, cid: "1", parent: "1", hint: "self"}.build().file
	var asked []image.Ref
	files := map[string][]byte{"a": a, "b": b, "self": self}
	for name, file := range files {
		asked = nil
		_, err := Open(context.Background(), bytes.NewReader(file), int64(len(file)), Options{ID: name, Resolve: memory(files, &asked)})
		if !errors.Is(err, image.ErrFormat) || len(asked) > 3 {
			t.Errorf("%s: %v after %d calls of the resolver", name, err, len(asked))
		}
	}
	// Without IDs, only the limit of the chain's length ends it.
	n := 0
	resolve := func(r image.Ref) (image.Source, error) {
		n++
		return Open(context.Background(), bytes.NewReader(self), int64(len(self)), r.Options.(Options))
	}
	if _, err := Open(context.Background(), bytes.NewReader(self), int64(len(self)), Options{Resolve: resolve}); !errors.Is(err, image.ErrUnsupported) || n > disk.MaxChain+1 {
		t.Errorf("%v after %d files", err, n)
	}
}
