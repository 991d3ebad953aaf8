package image_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/luksimg/luksimg/image"
)

// collect returns all extents of a range and checks that they cover it.
func collect(t *testing.T, src image.Source, off, n int64) []image.Extent {
	t.Helper()
	var all []image.Extent
	at := max(off, 0)
	for e, err := range image.Extents(src, off, n) {
		if err != nil {
			t.Fatal(err)
		}
		if e.Offset != at || e.Length <= 0 {
			t.Fatalf("extent %+v, expected one at %d", e, at)
		}
		if len(all) > 0 && all[len(all)-1].Kind == e.Kind {
			t.Errorf("extent %+v was not merged with the one before it", e)
		}
		at = e.End()
		all = append(all, e)
	}
	return all
}

// parts is a source that is defined by its extents.
type parts []image.Extent

func (p parts) Size() int64 { return p[len(p)-1].End() }

func (p parts) ReadAt(b []byte, off int64) (int, error) { return 0, io.EOF }

func (p parts) Extents(off, n int64) iter.Seq2[image.Extent, error] {
	return func(yield func(image.Extent, error) bool) {
		for _, e := range p {
			start, end := max(e.Offset, off), min(e.End(), off+n)
			if start < end && !yield(image.Extent{Offset: start, Length: end - start, Kind: e.Kind}, nil) {
				return
			}
		}
	}
}

func TestExtents(t *testing.T) {
	p := parts{{0, 10, image.Data}, {10, 5, image.Data}, {15, 5, image.Zero}, {20, 1, image.Hole}, {21, 9, image.Hole}, {30, 1, image.Data}}
	for _, c := range []struct {
		off, n int64
		want   []image.Extent
	}{
		{0, 31, []image.Extent{{0, 15, image.Data}, {15, 5, image.Zero}, {20, 10, image.Hole}, {30, 1, image.Data}}},
		{3, 9, []image.Extent{{3, 9, image.Data}}},
		{14, 7, []image.Extent{{14, 1, image.Data}, {15, 5, image.Zero}, {20, 1, image.Hole}}},
		{25, 1000, []image.Extent{{25, 5, image.Hole}, {30, 1, image.Data}}},
		{-5, 7, []image.Extent{{0, 2, image.Data}}},
		{-5, 2, nil},
		{1 << 62, 1 << 62, nil},
		{31, 5, nil},
		{5, 0, nil},
		{5, -3, nil},
	} {
		if got := collect(t, p, c.off, c.n); !slices.Equal(got, c.want) {
			t.Errorf("Extents(%d, %d) = %v, want %v", c.off, c.n, got, c.want)
		}
	}
	plain := bytes.NewReader(make([]byte, 100))
	if got := collect(t, plain, 10, 20); !slices.Equal(got, []image.Extent{{10, 20, image.Data}}) {
		t.Errorf("extents of a source without Extents: %v", got)
	}
	for e := range image.Extents(p, 0, 31) { // a break ends the sequence
		if e.Kind == image.Zero {
			break
		}
	}
}

func TestMergeError(t *testing.T) {
	boom := errors.New("boom")
	seq := func(yield func(image.Extent, error) bool) {
		_ = yield(image.Extent{Length: 1}, nil) && yield(image.Extent{Offset: 1, Length: 1}, nil) && yield(image.Extent{}, boom)
	}
	var got []string
	for e, err := range image.Merge(seq) {
		got = append(got, fmt.Sprint(e.Length, err))
	}
	if want := []string{"2 <nil>", "0 boom"}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

func TestKind(t *testing.T) {
	for k, want := range map[image.Kind]string{image.Data: "data", image.Zero: "zero", image.Hole: "hole", 7: "Kind(7)"} {
		if got := k.String(); got != want {
			t.Errorf("%d is %q, want %q", k, got, want)
		}
	}
}

// sparse creates a file with data at the given offsets and returns the file and its content.
func sparse(t *testing.T, size int64, at ...int64) (*os.File, []byte) {
	t.Helper()
	f, err := os.Create(filepath.Join(t.TempDir(), "disk"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	content := make([]byte, size)
	for _, off := range at {
		b := content[off:min(off+70_000, size)]
		rand.NewChaCha8([32]byte{byte(off)}).Read(b)
		if _, err := f.WriteAt(b, off); err != nil {
			t.Fatal(err)
		}
	}
	if err := f.Truncate(size); err != nil {
		t.Fatal(err)
	}
	return f, content
}

// TestFileShrinks truncates an open file and checks that reads fail instead of returning zeros.
func TestFileShrinks(t *testing.T) {
	f, _ := sparse(t, 1<<20, 0)
	src, err := image.NewFile(f)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Truncate(1000); err != nil {
		t.Fatal(err)
	}
	if _, err := src.ReadAt(make([]byte, 4096), 0); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("ReadAt: %v", err)
	}
	var last error
	for e, err := range image.Extents(src, 0, src.Size()) {
		if last = err; err == nil && e.Kind == image.Hole {
			t.Errorf("the truncated part is %+v, want an error", e)
		}
	}
	if _, err := src.ReadAt(make([]byte, 1), 1<<19); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("ReadAt past the new end: %v", err)
	}
	t.Logf("extents: %v", last)
}

func TestFileKinds(t *testing.T) {
	d, err := os.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if _, err := image.NewFile(d); err == nil {
		t.Error("NewFile accepted a folder")
	}
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	if _, err := image.NewFile(null); err == nil {
		t.Error("NewFile accepted a character device")
	}
}

func TestFormatError(t *testing.T) {
	err := error(&image.FormatError{Format: "vhd", Offset: 48, Field: "current size", Value: 513, Want: "a multiple of 512"})
	if !errors.Is(err, image.ErrFormat) {
		t.Error("a FormatError does not match ErrFormat")
	}
	if want := "vhd: current size at offset 48 is 513, want a multiple of 512"; err.Error() != want {
		t.Errorf("%q, want %q", err, want)
	}
}

func ExampleExtents() {
	disk := parts{{0, 1 << 20, image.Data}, {1 << 20, 99 << 20, image.Hole}}
	for e, err := range image.Extents(disk, 0, disk.Size()) {
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Printf("%9d %9d %v\n", e.Offset, e.Length, e.Kind)
	}
	// Output:
	//         0   1048576 data
	//   1048576 103809024 hole
}

// endless is a source of 2^56 bytes that yields one hole per sector.
type endless struct {
	image.Source
	yields int
	each   func(n int) bool // whether to continue after n extents
}

func (s *endless) Size() int64 { return 1 << 56 }

func (s *endless) Extents(off, n int64) iter.Seq2[image.Extent, error] {
	return func(yield func(image.Extent, error) bool) {
		for at := off; at < off+n; at += 512 {
			s.yields++
			if !s.each(s.yields) || !yield(image.Extent{Offset: at, Length: 512, Kind: image.Hole}, nil) {
				return
			}
		}
	}
}

// TestExtentsContext checks that cancelling ends a walk at the next extent, even if all extents
// merge into one.
func TestExtentsContext(t *testing.T) {
	boom := errors.New("boom")
	for _, after := range []int{0, 1, 100} {
		ctx, cancel := context.WithCancelCause(t.Context())
		src := &endless{each: func(n int) bool {
			if n == after {
				cancel(boom)
			}
			if n > after {
				t.Error("the walk continued after it was cancelled")
			}
			return n <= after
		}}
		if after == 0 {
			cancel(boom)
		}
		var got error
		for _, err := range image.ExtentsContext(ctx, src, 0, src.Size()) {
			got = err
		}
		if !errors.Is(got, boom) || src.yields != after {
			t.Errorf("cancelled after %d extents: %v after %d", after, got, src.yields)
		}
		cancel(nil)
	}
}
