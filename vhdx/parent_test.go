package vhdx

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/luksimg/luksimg/image"
	"github.com/luksimg/luksimg/internal/imagetest"
)

// chainOf builds a base and n differencing disks, each the child of the one before.
func chainOf(n int) []*layout {
	all := []*layout{img{size: 4 * mib, states: "ddzd", id: guid{1}}.build()}
	for i := range n {
		p := all[i]
		all = append(all, img{size: 4 * mib, base: p.want, linkage: p.id, id: guid{byte(i + 2)}, states: []string{"p.", ".pd", "..zp"}[i%3], seed: uint64(i)}.build())
	}
	return all
}

// resolver returns the disks of a chain by depth.
func resolver(all []*layout) func(image.Ref) (image.Source, error) {
	return func(ref image.Ref) (image.Source, error) {
		w := all[len(all)-1-ref.Depth]
		return Open(context.Background(), w.memFile, w.memFile.size, ref.Options.(Options))
	}
}

func TestChain(t *testing.T) {
	all := chainOf(4)
	var refs []string
	get := resolver(all)
	last := all[4]
	d, err := Open(context.Background(), last.memFile, last.memFile.size, Options{Resolve: func(ref image.Ref) (image.Source, error) {
		refs = append(refs, fmt.Sprint(ref.Depth, ref.Name(), ref.Options.(Options).linkage[0]))
		if !slices.Equal(ref.Names, []string{`..\base.vhdx`, `\\?\d:\disks\base.vhdx`}) || ref.What != "parent disk" || ref.Format != "vhdx" {
			t.Errorf("paths: %+v", ref)
		}
		return get(ref)
	}})
	if err != nil {
		t.Fatal(err)
	}
	imagetest.Like(t, d, written{last.want})
	if got := strings.Join(refs, " "); !strings.Contains(got, guid{4}.String()) || len(refs) != 4 || !strings.HasPrefix(got, `1 ..\base.vhdx `+guid{4}.String()) && !strings.Contains(got, `..\base.vhdx`) {
		t.Errorf("Resolve was called with %q", refs)
	}
	i, err := d.Info(context.Background())
	if err != nil || i.Type != "differencing" || i.Parent == nil || i.Parent.Linkage != (guid{4}).String() || i.DataWriteID != (guid{5}).String() {
		t.Errorf("%+v, %v", i, err)
	}
}

func TestChainLimits(t *testing.T) {
	w := chainOf(1)[1]
	w.linkage, w.id = guid{7}, guid{7}
	w = w.img.build() // its own parent, with a matching identity
	n := 0
	self := func(ref image.Ref) (image.Source, error) {
		n++
		return Open(context.Background(), w.memFile, w.memFile.size, ref.Options.(Options))
	}
	if _, err := Open(context.Background(), w.memFile, w.memFile.size, Options{Resolve: self}); !errors.Is(err, image.ErrUnsupported) || n > 70 {
		t.Errorf("a loop without ID: %v after %d", err, n)
	}
	n = 0
	withID := func(ref image.Ref) (image.Source, error) {
		n++
		o := ref.Options.(Options)
		o.ID = "disk"
		return Open(context.Background(), w.memFile, w.memFile.size, o)
	}
	if _, err := Open(context.Background(), w.memFile, w.memFile.size, Options{Resolve: withID, ID: "disk"}); !errors.Is(err, image.ErrFormat) || n != 1 || !strings.Contains(err.Error(), "loop") {
		t.Errorf("a loop with ID: %v after %d", err, n)
	}
}

func TestResolve(t *testing.T) {
	all := chainOf(2)
	w := all[2]
	open := func(opts Options) error {
		_, err := Open(context.Background(), w.memFile, w.memFile.size, opts)
		return err
	}
	var refused *image.RefusedError
	if err := open(Options{}); !errors.As(err, &refused) || refused.Ref.Name() != `..\base.vhdx` || !strings.Contains(err.Error(), `"..\\base.vhdx"`) {
		t.Errorf("no resolver: %v", err)
	}
	boom := errors.New("boom")
	if err := open(Options{Resolve: func(image.Ref) (image.Source, error) { return nil, boom }}); !errors.Is(err, boom) {
		t.Errorf("the resolver's error: %v", err)
	}
	if err := open(Options{Resolve: func(image.Ref) (image.Source, error) { return nil, nil }}); err == nil {
		t.Error("Open succeeded although Resolve returned nil")
	}
	// Resolve returns a wrong disk, opened with or without the Options of the image.Ref.
	for _, own := range []bool{false, true} {
		err := open(Options{Resolve: func(ref image.Ref) (image.Source, error) {
			o := ref.Options.(Options)
			if own {
				o = Options{}
			}
			return Open(context.Background(), all[0].memFile, all[0].memFile.size, o)
		}})
		if !errors.Is(err, ErrLinkage) || !strings.Contains(err.Error(), guid{2}.String()) {
			t.Errorf("a wrong parent: %v", err)
		}
	}
	// The second of two identities is accepted too.
	other := all[1].img
	other.base, other.linkage = all[0].want, guid{99}
	other.locator = []string{"parent_linkage2", "{" + strings.ToUpper(guid{1}.String()) + "}", "parent_linkage", guid{99}.String(), "volume_path", "v", "absolute_win32_path", "a"}
	o := other.build()
	d, err := Open(context.Background(), o.memFile, o.memFile.size, Options{Resolve: func(ref image.Ref) (image.Source, error) {
		if ref.Name() != "v" || ref.Options.(Options).linkage[0] != (guid{99}) {
			t.Errorf("%+v", ref)
		}
		return Open(context.Background(), all[0].memFile, all[0].memFile.size, ref.Options.(Options))
	}})
	if err != nil {
		t.Fatal(err)
	}
	imagetest.Like(t, d, written{o.want})
	// Child and parent must have the same sector size.
	big := img{size: 4 * mib, sector: 4096, id: guid{1}}.build()
	o = all[1]
	_, err = Open(context.Background(), o.memFile, o.memFile.size, Options{Resolve: func(ref image.Ref) (image.Source, error) {
		return Open(context.Background(), big.memFile, big.memFile.size, ref.Options.(Options))
	}})
	var fe *image.FormatError
	if !errors.As(err, &fe) || fe.Field != "LogicalSectorSize" || fe.Offset != o.items[logicalSectorGUID] {
		t.Errorf("a different sector size: %v", err)
	}
}

// TestParentFails checks that a parent that shrank is an error, not the end of the disk.
func TestParentFails(t *testing.T) {
	w := img{size: 4 * mib, base: newMemFile(4 * mib), states: "."}.build()
	boom := errors.New("boom")
	for _, want := range []error{boom, io.ErrUnexpectedEOF} {
		d, err := Open(context.Background(), w.memFile, w.memFile.size, Options{Resolve: func(image.Ref) (image.Source, error) { return broken{want}, nil }})
		if err != nil {
			t.Fatal(err)
		}
		if n, err := d.ReadAt(make([]byte, 100), 5); n != 0 || !errors.Is(err, want) {
			t.Errorf("%d, %v", n, err)
		}
	}
}

type broken struct{ err error }

func (b broken) Size() int64 { return 4 * mib }

func (b broken) ReadAt(p []byte, off int64) (int, error) {
	if b.err == io.ErrUnexpectedEOF {
		return 0, io.EOF
	}
	return 0, b.err
}

func TestMetadataOnly(t *testing.T) {
	w := chainOf(1)[1]
	d, err := Open(context.Background(), w.memFile, w.memFile.size, Options{MetadataOnly: true, Resolve: func(image.Ref) (image.Source, error) {
		t.Error("Resolve was called")
		return nil, nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.ReadAt(make([]byte, 1), 0); err == nil {
		t.Error("ReadAt succeeded")
	}
	for _, err := range d.Extents(0, 10) {
		if err == nil {
			t.Error("Extents succeeded")
		}
	}
	checkClean(t, d, false)
	i, err := d.Info(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	j, err := json.Marshal(i)
	want := `{"type":"differencing","virtual_size":4194304,"allocated_bytes":2097152,"file_size":7340032,"block_size":1048576,` +
		`"logical_sector_size":512,"physical_sector_size":4096,"creator":"","disk_id":"01234567-89ab-cdef-0123-456789abcdef",` +
		`"data_write_id":"00000002-0000-0000-0000-000000000000","parent":{"relative_path":"..\\base.vhdx",` +
		`"absolute_win32_path":"\\\\?\\d:\\disks\\base.vhdx","linkage":"00000001-0000-0000-0000-000000000000"}}`
	if err != nil || string(j) != want {
		t.Errorf("%s, want %s", j, want)
	}
}
