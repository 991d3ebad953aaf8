package target

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/luksimg/luksimg/internal/faultfs"
)

// short writes only half of each buffer.
type short struct{}

func (short) WriteAt(p []byte, _ int64) (int, error) { return len(p) / 2, nil }

func TestWriteAt(t *testing.T) {
	f := &File{Format: "xyz", W: short{}}
	if _, err := f.WriteAt(make([]byte, 4), 77); !errors.Is(err, io.ErrShortWrite) || !strings.HasPrefix(err.Error(), "xyz: write at 77: ") {
		t.Errorf("short write: %v", err)
	}
	if err := f.Sync(); err != nil {
		t.Errorf("Sync of a writer without Sync: %v", err)
	}
}

// TestExtend checks the length of a file with and without data at its end.
func TestExtend(t *testing.T) {
	for _, last := range []int64{0, 10, 4095} {
		d := faultfs.New()
		d.WriteFile("a", nil)
		f := &File{Format: "xyz", W: d.Open("a")}
		if _, err := f.WriteAt([]byte{7}, last); err != nil {
			t.Fatal(err)
		}
		if _, err := f.WriteAt([]byte{6}, 0); err != nil {
			t.Fatal(err)
		}
		if err := f.Extend(4096); err != nil {
			t.Fatal(err)
		}
		want := make([]byte, 4096)
		want[last] = 7
		want[0] = 6
		if got := d.ReadFile("a"); !bytes.Equal(got, want) {
			t.Errorf("last byte at %d: %d bytes, or wrong content", last, len(got))
		}
		if err := f.Sync(); err != nil {
			t.Error(err)
		}
	}
}

// parts records the offsets of writes.
type parts struct{ at []int64 }

func (p *parts) WriteAt(b []byte, off int64) (int, error) {
	p.at = append(p.at, off, int64(len(b)))
	return len(b), nil
}

func TestWriteSparse(t *testing.T) {
	b := make([]byte, 5<<16+100)
	b[0], b[1<<16], b[3<<16+5], b[5<<16+99] = 1, 1, 1, 1
	w := &parts{}
	if err := (&File{Format: "xyz", W: w}).WriteSparse(b, 512); err != nil {
		t.Fatal(err)
	}
	if want := []int64{512, 2 << 16, 512 + 3<<16, 1 << 16, 512 + 5<<16, 100}; !slices.Equal(w.at, want) {
		t.Errorf("wrote (offset, length) %d, want %d", w.at, want)
	}
}
