package imagetest

import (
	"bytes"
	"errors"
	"io"
	"runtime"
	"strings"
	"testing"

	"github.com/luksimg/luksimg/image"
)

// Bounded calls f, which must not allocate more than most bytes.
func Bounded(t testing.TB, most uint64, f func()) {
	t.Helper()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	if n := after.TotalAlloc - before.TotalAlloc; n > most {
		t.Errorf("allocated %d bytes, want at most %d", n, most)
	}
}

// Refused checks that err reports this field of the format at this offset; -1 is any offset. If field
// is empty, err must be [image.ErrUnsupported]. The message must contain text.
func Refused(t testing.TB, err error, format, field string, offset int64, text string) {
	t.Helper()
	if err == nil {
		t.Fatal("no error")
	}
	var fe *image.FormatError
	switch {
	case field == "":
		if !errors.Is(err, image.ErrUnsupported) || errors.Is(err, image.ErrFormat) {
			t.Errorf("%v is not ErrUnsupported", err)
		}
	case !errors.As(err, &fe) || !errors.Is(err, image.ErrFormat):
		t.Fatalf("%v is not a FormatError", err)
	case fe.Format != format || fe.Field != field || offset >= 0 && fe.Offset != offset || fe.Value == nil || fe.Want == "":
		t.Errorf("field %q at %d of %s, want %q at %d: %v", fe.Field, fe.Offset, fe.Format, field, offset, err)
	}
	if !strings.Contains(err.Error(), text) {
		t.Errorf("message %q lacks %q", err, text)
	}
	if len(err.Error()) > 1000 {
		t.Errorf("the message is %d bytes long", len(err.Error()))
	}
}

// ReadErrors opens and reads a file repeatedly. Each time one more read succeeds, until all do. Each
// error must be that of the file and not a format error, and the bytes read before it must match want.
// At least least rounds must fail.
func ReadErrors(t *testing.T, file io.ReaderAt, want []byte, least int64, open func(r io.ReaderAt) (image.Source, error)) {
	t.Helper()
	check := func(n int64, what string, err error) {
		t.Helper()
		if !errors.Is(err, ErrDevice) || errors.Is(err, image.ErrFormat) {
			t.Fatalf("%d reads: %s: %v", n, what, err)
		}
	}
	for n := int64(0); ; n++ {
		f := NewFlaky(file, n)
		d, err := open(f)
		if err != nil {
			check(n, "Open", err)
			continue
		}
		left := f.Left.Load()
		var failed error
		for _, off := range []int{0, min(3, len(want))} {
			f.Left.Store(left)
			p := make([]byte, len(want)-off)
			got, err := d.ReadAt(p, int64(off))
			if !bytes.Equal(p[:got], want[off:][:got]) {
				t.Fatalf("after %d reads: wrong data in the %d bytes before error %v", n, got, err)
			}
			if err == nil || err == io.EOF {
				continue
			}
			if failed = err; got == len(p) {
				t.Fatalf("after %d reads: all bytes, and error %v", n, err)
			}
			check(n, "ReadAt", err)
		}
		if failed == nil {
			if n < least {
				t.Errorf("only %d reads were needed", n)
			}
			return
		}
		// The extents must end with the error too if they need to read.
		f.Left.Store(left)
		var last error
		for _, err := range image.Extents(d, 0, d.Size()) {
			if last != nil {
				t.Fatal("the extents continue after an error")
			}
			if last = err; err != nil {
				check(n, "Extents", err)
			}
		}
	}
}

// Hostile reads windows of a disk from a possibly hostile file, at these offsets and at the end. The
// extents must cover them and agree with the data, and the size of the reads must not matter. Errors
// must satisfy expected.
func Hostile(t *testing.T, d image.Source, window int64, expected func(error) bool, offsets ...int64) {
	t.Helper()
	for _, off := range append(offsets, 0, d.Size()/2+7, d.Size()-window) {
		off = min(max(off, 0), d.Size())
		HostileRange(t, d, off, min(window, d.Size()-off), expected)
	}
}

// HostileRange is like [Hostile] for n bytes at off of the disk.
func HostileRange(t *testing.T, d image.Source, off, n int64, expected func(error) bool) {
	t.Helper()
	whole := make([]byte, n)
	got, err := d.ReadAt(whole, off)
	if err != nil && !expected(err) || err == nil && int64(got) != n {
		t.Fatalf("ReadAt(%d bytes, %d) = %d, %v", n, off, got, err)
	}
	whole = whole[:got]
	at := off
	for e, err := range image.Extents(d, off, n) {
		if err != nil {
			if !expected(err) {
				t.Fatalf("extents: %v", err)
			}
			return
		}
		if e.Offset != at || e.Length <= 0 || e.End() > off+n {
			t.Fatalf("unexpected extent %+v at %d", e, at)
		}
		if at = e.End(); at > off+int64(len(whole)) {
			return
		}
		b := whole[e.Offset-off : at-off]
		if e.Kind != image.Data && !zero(b) {
			t.Fatalf("extent %+v does not read as zeros", e)
		}
		piece := make([]byte, min(len(b), 5000))
		if _, err := d.ReadAt(piece, e.Offset); err != nil && err != io.EOF || !bytes.Equal(piece, b[:len(piece)]) {
			t.Fatalf("extent %+v differs from a read of the whole window: %v", e, err)
		}
	}
	if at != off+n {
		t.Fatalf("the extents of %d bytes at %d end at %d", n, off, at)
	}
}
