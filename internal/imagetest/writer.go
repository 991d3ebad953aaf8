package imagetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"math/rand/v2"
	"sync/atomic"
	"testing"

	"github.com/luksimg/luksimg/image"
	"github.com/luksimg/luksimg/internal/faultfs"
)

// A Writer describes the writer of an image format.
type Writer struct {
	// Create writes the disk src as an image to dst, and returns its length in bytes.
	Create func(ctx context.Context, dst *faultfs.File, src image.Source) (int64, error)

	// Open opens the written image.
	Open func(r io.ReaderAt, size int64) (image.Source, error)

	// Unit is the number of bytes that the disk in an image is a multiple of. The writer pads with
	// zeros.
	Unit int64

	// Least is the size in bytes of the smallest disk that the format allows. The writer must reject
	// smaller ones and write nothing.
	Least int64

	// Size, if not nil, returns the length in bytes of the image that Create makes of src.
	Size func(src image.Source) (int64, error)

	// Detect, if not nil, reports whether a file is an image of the format. After an error of Create it
	// must return false, unless the last write was torn.
	Detect func(r io.ReaderAt, size int64) bool

	// Last means that the writer writes last what makes a file an image. An unfinished image then does
	// not open, or has the whole disk.
	Last bool
}

// Writes tests a writer. The image must read back as the source, with every kind of extent, and have
// the predicted length. Errors of the destination, the source and the context must be returned.
func Writes(t *testing.T, w Writer) {
	t.Helper()
	for _, size := range []int64{0, 1, 511, 512, 513, 65536, 65537, 3<<20 - 7} {
		t.Run(fmt.Sprint(size), func(t *testing.T) { w.testBack(t, NewPatchy(size, uint64(size))) })
	}
	t.Run("Faults", w.testFaults)
	t.Run("Source", w.testSource)
	t.Run("Context", w.testContext)
}

// write runs Create on a new file and returns its length.
func (w Writer) write(ctx context.Context, d *faultfs.FS, src image.Source) (int64, error) {
	return w.Create(ctx, d.Open("image"), src)
}

func newFS() *faultfs.FS {
	d := faultfs.New()
	d.WriteFile("image", nil)
	return d
}

// padded returns the bytes of the disk in the image.
func (w Writer) padded(b []byte) []byte {
	size := (int64(len(b)) + w.Unit - 1) / w.Unit * w.Unit
	return append(bytes.Clone(b), make([]byte, size-int64(len(b)))...)
}

func (w Writer) testBack(t *testing.T, src *Patchy) {
	d := newFS()
	n, err := w.write(t.Context(), d, src)
	file := d.ReadFile("image")
	if src.Size() < w.Least {
		if err == nil || len(file) > 0 {
			t.Errorf("wrote %d bytes, error %v, for a disk that is too small", len(file), err)
		}
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	if n != int64(len(file)) {
		t.Errorf("Create returned %d bytes, but the file has %d", n, len(file))
	}
	if w.Size != nil {
		if told, err := w.Size(src); err != nil || told != n {
			t.Errorf("Size returned %d bytes, %v, but the file has %d", told, err, n)
		}
	}
	disk, err := w.Open(bytes.NewReader(file), int64(len(file)))
	if err != nil {
		t.Fatal(err)
	}
	Source(t, disk, w.padded(src.b))
}

// whole returns an error if the file opens as a disk other than b.
func (w Writer) whole(d *faultfs.FS, b []byte) error {
	file := d.ReadFile("image")
	disk, err := w.Open(bytes.NewReader(file), int64(len(file)))
	if err != nil || !w.Last {
		return nil
	}
	want := w.padded(b)
	got := make([]byte, disk.Size())
	if _, err := disk.ReadAt(got, 0); err != nil && err != io.EOF {
		return err
	}
	if !bytes.Equal(got, want) {
		return errors.New("the disk differs")
	}
	return nil
}

// unfinished returns an error if the file is an image although Create failed.
func (w Writer) unfinished(d *faultfs.FS, b []byte) error {
	file := d.ReadFile("image")
	if w.Detect != nil && w.Detect(bytes.NewReader(file), int64(len(file))) {
		return errors.New("the unfinished file looks like an image")
	}
	return w.whole(d, b)
}

// testFaults makes each call fail, and the power fail at each moment.
func (w Writer) testFaults(t *testing.T) {
	src := NewPatchy(160<<10, 5)
	create := func(d *faultfs.FS) error {
		_, err := w.write(context.Background(), d, src)
		return err
	}
	d := newFS()
	if err := create(d); err != nil {
		t.Fatal(err)
	}
	if err := w.whole(d, src.b); err != nil {
		t.Fatal(err)
	}
	for at, c := range d.Crashes(4) {
		if err := w.whole(c, src.b); err != nil {
			t.Errorf("%v: %v", at, err)
		}
	}
	failures := 0
	for f := range faultfs.Failures(newFS, create, faultfs.Write, faultfs.Sync, faultfs.Truncate) {
		failures++
		if !errors.Is(f.Err, faultfs.Err) {
			t.Errorf("%s at %d: %v, want %v", f.Call.Op, f.Call.Off, f.Err, faultfs.Err)
		}
		left := w.unfinished
		if f.Done > 0 {
			left = w.whole
		}
		if err := left(f.FS, src.b); err != nil {
			t.Errorf("%s at %d: %v", f.Call.Op, f.Call.Off, err)
		}
	}
	if failures == 0 {
		t.Error("no call was made")
	}
}

// testSource makes each read of the source fail.
func (w Writer) testSource(t *testing.T) {
	good := NewPatchy(1<<20, 6)
	for n := int64(0); ; n++ {
		d := newFS()
		_, err := w.write(t.Context(), d, flakySource{NewFlaky(good, n), good})
		if err == nil {
			if n == 0 {
				t.Error("the source was not read")
			}
			return
		}
		if !errors.Is(err, ErrDevice) {
			t.Fatalf("%d reads: %v", n, err)
		}
		if left := w.unfinished(d, good.b); left != nil {
			t.Errorf("%d reads: %v", n, left)
		}
	}
}

// flakySource is a disk whose reads fail after some successful ones.
type flakySource struct {
	io.ReaderAt
	*Patchy
}

func (f flakySource) ReadAt(p []byte, off int64) (int, error) { return f.ReaderAt.ReadAt(p, off) }

// testContext cancels the context before the first read, and during each one.
func (w Writer) testContext(t *testing.T) {
	good := NewPatchy(1<<20, 7)
	stop := errors.New("stop")
	for n := range int64(4) {
		ctx, cancel := context.WithCancelCause(t.Context())
		src := &ending{Patchy: good, end: func() { cancel(stop) }}
		if src.left.Store(n); n == 0 {
			cancel(stop)
		}
		d := newFS()
		_, err := w.write(ctx, d, src)
		// Create can succeed if it had nothing left to do when the context ended.
		if n == 0 && err == nil || err != nil && !errors.Is(err, stop) {
			t.Errorf("context cancelled in read %d: %v", n, err)
		}
		left := w.unfinished
		if err == nil {
			left = w.whole
		}
		if err := left(d, good.b); err != nil {
			t.Errorf("context cancelled in read %d: %v", n, err)
		}
		cancel(nil)
	}
}

// ending is a disk one of whose reads calls end.
type ending struct {
	*Patchy
	left atomic.Int64
	end  func()
}

func (e *ending) ReadAt(p []byte, off int64) (int, error) {
	if e.left.Add(-1) == 0 {
		e.end()
	}
	return e.Patchy.ReadAt(p, off)
}

// Patchy is an in-memory disk with extents of all kinds and lengths: data, data that is zeros, zeros
// and holes.
type Patchy struct {
	b       []byte
	extents []image.Extent
}

// NewPatchy returns a disk of size bytes.
func NewPatchy(size int64, seed uint64) *Patchy {
	p := &Patchy{b: make([]byte, size)}
	rnd := rand.New(rand.NewPCG(seed, 31))
	for at := int64(0); at < size; {
		n := min(1+rnd.Int64N(1<<(9+rnd.IntN(10))), size-at)
		if rnd.IntN(2) == 0 {
			n = min((n+4095)&^4095, size-at)
		}
		e := image.Extent{Offset: at, Length: n}
		switch rnd.IntN(5) {
		case 0, 1:
			Fill(rnd, p.b[at:at+n])
		case 2: // data that is all zeros
		case 3:
			e.Kind = image.Zero
		case 4:
			e.Kind = image.Hole
		}
		p.extents = append(p.extents, e)
		at += n
	}
	return p
}

// Size implements [image.Source].
func (p *Patchy) Size() int64 { return int64(len(p.b)) }

// ReadAt implements [io.ReaderAt].
func (p *Patchy) ReadAt(b []byte, off int64) (int, error) { return bytes.NewReader(p.b).ReadAt(b, off) }

// Extents implements [image.Extenter].
func (p *Patchy) Extents(off, n int64) iter.Seq2[image.Extent, error] {
	return func(yield func(image.Extent, error) bool) {
		for _, e := range p.extents {
			from, to := max(e.Offset, off), min(e.End(), off+n)
			if from < to && !yield(image.Extent{Offset: from, Length: to - from, Kind: e.Kind}, nil) {
				return
			}
		}
	}
}

// Used yields the numbers of the units of a disk that are not all zeros.
func Used(src image.Source, unit int64) iter.Seq[int64] {
	return func(yield func(int64) bool) {
		b := make([]byte, unit)
		for off := int64(0); off < src.Size(); off += unit {
			n, _ := src.ReadAt(b, off)
			if !zero(b[:n]) && !yield(off/unit) {
				return
			}
		}
	}
}
