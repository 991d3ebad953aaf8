package vhd

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/luksimg/luksimg/image"
	"github.com/luksimg/luksimg/internal/imagetest"
)

// resolveFrom returns the n-th of the files as a VHD at depth n of a chain.
func resolveFrom(files ...[]byte) func(image.Ref) (image.Source, error) {
	return func(r image.Ref) (image.Source, error) {
		file := files[r.Depth-1]
		return Open(context.Background(), bytes.NewReader(file), int64(len(file)), r.Options.(Options))
	}
}

// resolveRaw returns a resolver for a raw disk, which has bytes but no identity.
func resolveRaw(b []byte) func(image.Ref) (image.Source, error) {
	return func(image.Ref) (image.Source, error) { return bytes.NewReader(b), nil }
}

func random(n int64) []byte {
	b := make([]byte, n)
	imagetest.Fill(rand.New(rand.NewPCG(7, uint64(n))), b)
	return b
}

func TestReadDifferencing(t *testing.T) {
	const size = 40*4096 + 512
	type build struct {
		child   testDisk
		parents []testDisk // the nearest first; the last has no parent
		raw     int64      // size of a raw parent, if parents is nil
	}
	for name, c := range map[string]build{
		"raw parent":                {child: testDisk{blockSize: 4096}, raw: size},
		"raw parent, shorter":       {child: testDisk{blockSize: 4096}, raw: size - 5*4096 - 512},
		"raw parent, no sectors":    {child: testDisk{blockSize: 4096}, raw: 4096*20 + 77},
		"raw parent, longer":        {child: testDisk{blockSize: 4096}, raw: size + 10000},
		"raw parent, empty":         {child: testDisk{blockSize: 4096}, raw: 0},
		"fixed parent":              {child: testDisk{blockSize: 8192}, parents: []testDisk{{size: size}}},
		"dynamic parent":            {child: testDisk{blockSize: 4096}, parents: []testDisk{{size: size, blockSize: 4096}}},
		"smaller blocks in parent":  {child: testDisk{blockSize: 8192}, parents: []testDisk{{size: size, blockSize: 512}}},
		"larger blocks in parent":   {child: testDisk{blockSize: 1024}, parents: []testDisk{{size: size, blockSize: 65536}}},
		"shorter dynamic parent":    {child: testDisk{blockSize: 4096}, parents: []testDisk{{size: size - 7*512, blockSize: 4096}}},
		"longer dynamic parent":     {child: testDisk{blockSize: 4096}, parents: []testDisk{{size: size + 7*4096, blockSize: 4096}}},
		"chain of 3":                {child: testDisk{blockSize: 4096}, parents: []testDisk{{size: size, blockSize: 8192}, {size: size + 512, blockSize: 1024}, {size: size}}},
		"chain of 3, all one size":  {child: testDisk{blockSize: 4096}, parents: []testDisk{{size: size, blockSize: 4096}, {size: size, blockSize: 4096}}},
		"child all absent":          {child: testDisk{blockSize: 4096, kinds: []int{kindAbsent}}, parents: []testDisk{{size: size, blockSize: 4096}}},
		"child all clear":           {child: testDisk{blockSize: 4096, kinds: []int{kindClear}}, parents: []testDisk{{size: size, blockSize: 4096}}},
		"child all full":            {child: testDisk{blockSize: 4096, kinds: []int{kindFull}}, parents: []testDisk{{size: size, blockSize: 4096}}},
		"child all mixed":           {child: testDisk{blockSize: 4096, kinds: []int{kindMixed}}, parents: []testDisk{{size: size, blockSize: 4096}}},
		"encrypted child":           {child: testDisk{blockSize: 4096, key: random(32)}, parents: []testDisk{{size: size, blockSize: 4096}}},
		"lowest bit first in child": {child: testDisk{blockSize: 4096, creator: "tap\x00", version: 1}, parents: []testDisk{{size: size, blockSize: 4096}}},
		"footer copy only":          {child: testDisk{blockSize: 4096, noEnd: true}, parents: []testDisk{{size: size, blockSize: 4096}}},
	} {
		for seed := range uint64(3) {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				var files [][]byte
				guest := random(c.raw)
				for i := len(c.parents) - 1; i >= 0; i-- {
					p := c.parents[i]
					p.seed = seed + uint64(i)
					p.id = byte(10 + i)
					if i < len(c.parents)-1 {
						p.base, p.baseID = append([]byte{}, guest...), byte(11+i)
					}
					var file []byte
					file, guest = p.build()
					files = append([][]byte{file}, files...)
				}
				child := c.child
				child.size, child.base, child.seed = size, append([]byte{}, guest...), seed
				child.baseID, child.id = 10, 9
				resolve := resolveRaw(guest)
				if files != nil {
					resolve = resolveFrom(files...)
				}
				file, guest := child.build()
				d := open(t, bytes.NewReader(file), int64(len(file)), Options{Resolve: resolve, IgnoreBitmaps: files == nil, Key: child.key})
				if i := d.describe(); i.Type != "differencing" || len(i.Warnings) > 0 && !child.noEnd {
					t.Errorf("%+v", i)
				}
				imagetest.Exact(t, d, guest)
			})
		}
	}
}

// TestZerosOverParent checks that zeros in the child hide data in the parent: the bits of their
// blocks are set.
func TestZerosOverParent(t *testing.T) {
	file, _ := testDisk{size: 4096, blockSize: 4096, full: true, base: random(4096)}.build()
	clear(file[int64(be.Uint32(tableEntry(file, 0)))*sectorSize+sectorSize:][:4096])
	d := open(t, bytes.NewReader(file), int64(len(file)), Options{Resolve: resolveRaw(random(4096))})
	got := make([]byte, 4096)
	if _, err := d.ReadAt(got, 0); err != nil || bytes.Count(got, []byte{0}) != len(got) {
		t.Errorf("the parent shows through zeros, or %v", err)
	}
}

var namedChild = testDisk{size: 8 * 4096, blockSize: 4096, base: random(8 * 4096), baseID: 5, locators: []name{
	{"Wi2k", "old", false},
	{locatorRelative, `.\bäse.vhd`, true},
	{locatorAbsolute, `C:\disks\bäse.vhd`, false},
	{locatorURL, "file://./b%C3%A4se.vhd", true},
	{locatorRelative, `.\second.vhd`, true},
	{"Wi2r", "old", true},
}}

func TestRef(t *testing.T) {
	file, _ := namedChild.build()
	asked := 0
	d := open(t, bytes.NewReader(file), int64(len(file)), Options{Resolve: func(r image.Ref) (image.Source, error) {
		asked++
		if r.What != "parent disk" || !slices.Equal(r.Names, []string{`.\bäse.vhd`, `C:\disks\bäse.vhd`, "bäse.vhd"}) || r.Format != "vhd" || r.Depth != 1 {
			t.Errorf("%+v", r)
		}
		return bytes.NewReader(namedChild.base), nil
	}})
	if asked != 1 {
		t.Errorf("Resolve was called %d times", asked)
	}
	got, err := json.Marshal(d.describe().Parent)
	want := `{"name":"bäse.vhd","absolute_path":"C:\\disks\\bäse.vhd","relative_path":".\\bäse.vhd","url":"file://./b%C3%A4se.vhd",` +
		`"unique_id":"05020304-0506-0708-090a-0b0c0d0e0f10","timestamp":"2000-01-02T00:00:00Z","depth":1}`
	if err != nil || string(got) != want {
		t.Errorf("got  %s\nwant %s, %v", got, want, err)
	}
	d.describe().Parent.Name = "x"
	if d.describe().Parent.Name == "x" {
		t.Error("Info shares its parent with the disk")
	}
}

func TestRefuseParent(t *testing.T) {
	file, _ := namedChild.build()
	_, err := Open(context.Background(), bytes.NewReader(file), int64(len(file)), Options{})
	var refused *image.RefusedError
	if !errors.As(err, &refused) || refused.Ref.Name() != `.\bäse.vhd` || !errors.Is(err, image.ErrUnsupported) || errors.Is(err, image.ErrFormat) {
		t.Fatalf("got %v", err)
	}
	if !strings.Contains(err.Error(), `bäse.vhd"`) || !strings.Contains(err.Error(), "merged") {
		t.Errorf("the error lacks the name or the advice: %v", err)
	}
	if !Detect(bytes.NewReader(file), int64(len(file))) {
		t.Error("Detect rejects the disk")
	}
	editHeader(file, func(h []byte) { be.PutUint16(h[offParentName:], 0x1b) })
	_, err = Open(context.Background(), bytes.NewReader(file), int64(len(file)), Options{})
	if err == nil || strings.Contains(err.Error(), "\x1b") {
		t.Errorf("the error has an unsafe name: %v", err)
	}
	d := open(t, bytes.NewReader(file), int64(len(file)), Options{MetadataOnly: true, Resolve: func(image.Ref) (image.Source, error) {
		t.Error("Resolve was called")
		return nil, nil
	}})
	if p := d.describe().Parent; p == nil || p.Name[0] != '?' {
		t.Errorf("parent %+v", p)
	}
	if _, err := d.ReadAt(make([]byte, 1), 0); err == nil || err == io.EOF {
		t.Errorf("read: %v", err)
	}
	for _, err := range d.Extents(0, d.Size()) {
		if err == nil {
			t.Error("Extents succeeded without a parent")
		}
	}
	for want, resolve := range map[string]func(image.Ref) (image.Source, error){
		"neither":      func(image.Ref) (image.Source, error) { return nil, nil },
		"device error": func(image.Ref) (image.Source, error) { return nil, imagetest.ErrDevice },
	} {
		if _, err := Open(context.Background(), bytes.NewReader(file), int64(len(file)), Options{Resolve: resolve}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
}

func TestParentIdentity(t *testing.T) {
	child, _ := namedChild.build()
	parent, _ := testDisk{size: 8 * 4096, id: 6}.build()
	_, err := Open(context.Background(), bytes.NewReader(child), int64(len(child)), Options{Resolve: resolveFrom(parent)})
	var fe *image.FormatError
	if !errors.As(err, &fe) || fe.Field != "parent unique ID" || fe.Offset != footerSize+offParentID ||
		fe.Value != "05020304-0506-0708-090a-0b0c0d0e0f10" || !strings.Contains(fe.Want, "06020304-") {
		t.Errorf("a wrong parent: %v", err)
	}
	parent, guest := testDisk{size: 8 * 4096, id: 5}.build()
	editFooters(parent, func(f []byte) { be.PutUint32(f[offTimestamp:], 86401) })
	d := open(t, bytes.NewReader(child), int64(len(child)), Options{Resolve: resolveFrom(parent)})
	if w := d.describe().Warnings; len(w) != 1 || !strings.Contains(w[0], "2000-01-02T00:00:01Z") {
		t.Errorf("a parent created later: %q", w)
	}
	want := namedChild
	want.base = guest
	_, wantGuest := want.build()
	imagetest.Exact(t, d, wantGuest)
}

// TestChainEnds checks that a chain ends after 64 parents, or at a loop.
func TestChainEnds(t *testing.T) {
	file, _ := testDisk{size: 4096, blockSize: 4096, base: []byte{}, kinds: []int{kindAbsent}}.build()
	asked := 0
	opts := Options{}
	opts.Resolve = func(r image.Ref) (image.Source, error) {
		asked++
		return Open(context.Background(), bytes.NewReader(file), int64(len(file)), r.Options.(Options))
	}
	if _, err := Open(context.Background(), bytes.NewReader(file), int64(len(file)), opts); !errors.Is(err, image.ErrUnsupported) || asked != 65 {
		t.Errorf("after %d parents: %v", asked, err)
	}
	asked = 0
	opts.ID = "a"
	opts.Resolve = func(r image.Ref) (image.Source, error) {
		asked++
		o := r.Options.(Options)
		o.ID = []string{"b", "c", "a"}[r.Depth-1]
		return Open(context.Background(), bytes.NewReader(file), int64(len(file)), o)
	}
	if _, err := Open(context.Background(), bytes.NewReader(file), int64(len(file)), opts); !errors.Is(err, image.ErrFormat) || !strings.Contains(err.Error(), "loop") || asked != 3 {
		t.Errorf("after %d parents: %v", asked, err)
	}
	asked = 0
	opts.ID = ""
	opts.Resolve = func(r image.Ref) (image.Source, error) {
		if asked++; r.Depth == 64 {
			return bytes.NewReader(random(100)), nil
		}
		return Open(context.Background(), bytes.NewReader(file), int64(len(file)), r.Options.(Options))
	}
	d := open(t, bytes.NewReader(file), int64(len(file)), opts)
	got := make([]byte, 4096)
	if _, err := d.ReadAt(got, 0); err != nil || !bytes.Equal(got[:100], random(100)) || got[100] != 0 {
		t.Errorf("through 64 parents: %v", err)
	}
	n := 0
	for range d.Extents(0, d.Size()) {
		n++
	}
	if n != 2 {
		t.Errorf("%d extents", n)
	}
}

// TestParentErrors checks that errors of the parent are returned, and that the bytes before them
// are correct.
func TestParentErrors(t *testing.T) {
	child := testDisk{size: 40 * 4096, blockSize: 4096, base: random(40 * 4096)}
	file, guest := child.build()
	imagetest.ReadErrors(t, bytes.NewReader(child.base), guest, 2, func(r io.ReaderAt) (image.Source, error) {
		return Open(context.Background(), bytes.NewReader(file), int64(len(file)), Options{Resolve: func(image.Ref) (image.Source, error) {
			return sized{r, child.size}, nil
		}})
	})
	short := open(t, bytes.NewReader(file), int64(len(file)), Options{Resolve: func(image.Ref) (image.Source, error) {
		return sized{bytes.NewReader(nil), child.size}, nil
	}})
	if _, err := short.ReadAt(make([]byte, len(guest)), 0); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("a truncated parent: %v", err)
	}
}

type sized struct {
	io.ReaderAt
	size int64
}

func (s sized) Size() int64 { return s.size }

// TestExtentsJoinOverParent checks that image.Extents merges adjacent extents of the disk and of
// its parent.
func TestExtentsJoinOverParent(t *testing.T) {
	parent, _ := testDisk{size: 12 * 4096, blockSize: 4096, id: 2, kinds: []int{kindFull, kindFull, kindFull, kindAbsent}}.build()
	child, _ := testDisk{size: 12 * 4096, blockSize: 4096, base: []byte{}, baseID: 2, kinds: []int{kindAbsent, kindFull, kindClear, kindClear}}.build()
	d := open(t, bytes.NewReader(child), int64(len(child)), Options{Resolve: resolveFrom(parent)})
	at := int64(0)
	for e, err := range image.Extents(d, 0, d.Size()) {
		want := image.Extent{Offset: at, Length: 3 * 4096, Kind: image.Data}
		if at/4096%4 == 3 {
			want.Length, want.Kind = 4096, image.Hole
		}
		if err != nil || e != want {
			t.Errorf("%+v, %v, want %+v", e, err, want)
		}
		at = e.End()
	}
	if at != d.Size() {
		t.Errorf("the extents end at %d", at)
	}
}

// TestAbsentBlocksCostOneLook checks that a run of absent blocks is one request to the parent,
// however large.
func TestAbsentBlocksCostOneLook(t *testing.T) {
	s := emptyDisk(2040 << 30)
	foot := s.parts[0]
	be.PutUint32(foot[offDiskType:], typeDifferencing)
	sumFooter(foot)
	s.put(s.size-footerSize, foot)
	asked := 0
	d := open(t, s, s.size, Options{Resolve: func(image.Ref) (image.Source, error) {
		return counted{holey{bytes.NewReader(nil)}, 1 << 20, &asked}, nil
	}})
	n := 0
	for e, err := range d.Extents(0, d.Size()) {
		if n++; err != nil || n > 1<<10+1 {
			t.Fatalf("extent %d: %+v, %v", n, e, err)
		}
	}
	if asked != 1 || n != 1<<10+1 {
		t.Errorf("%d requests for %d extents", asked, n)
	}
}
