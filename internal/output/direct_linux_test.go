package output

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"unsafe"
)

// shortFiles makes files of any length eligible for direct writes.
func shortFiles(t *testing.T) {
	old := longFile
	longFile = 0
	t.Cleanup(func() { longFile = old })
}

// expecting returns a new file after a call of Expect.
func expecting(t *testing.T, name string, size int64, dense bool) *File {
	t.Helper()
	f, err := Create(name, 0o600, false)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(f.Abort)
	if err := f.Expect(size, dense); err != nil {
		t.Fatal(err)
	}
	return f
}

// needDirect skips a test if the filesystem has no direct writes.
func needDirect(t *testing.T, f *File) {
	t.Helper()
	if alignment(f.File.(*os.File)) == 0 {
		t.Skip("this filesystem has no direct writes")
	}
}

// TestDirect writes pieces that can go past the cache and pieces that cannot, from several goroutines,
// into the same file. The content must be right on every filesystem.
func TestDirect(t *testing.T) {
	shortFiles(t)
	const size = 9<<20 + 700
	want := make([]byte, size)
	r := rand.NewChaCha8([32]byte{})
	r.Read(want)
	clear(want[3<<20 : 5<<20])
	for _, dense := range []bool{true, false} {
		for _, piece := range []int{1 << 20, directWrite, 64 << 10, 1<<20 + 512, 777_777} {
			name := filepath.Join(t.TempDir(), "disk")
			f := expecting(t, name, size, dense)
			var wg sync.WaitGroup
			for off := 0; off < size; off += piece {
				p := want[off:min(off+piece, size)]
				if !dense && bytes.Count(p, []byte{0}) == len(p) {
					continue
				}
				wg.Go(func() {
					if n, err := f.WriteAt(p, int64(off)); err != nil || n != len(p) {
						t.Errorf("%d bytes at %d: %d, %v", len(p), off, n, err)
					}
				})
			}
			wg.Wait()
			if err := f.Commit(); err != nil {
				t.Fatal(err)
			}
			if got, err := os.ReadFile(name); err != nil || !bytes.Equal(got, want) {
				t.Errorf("dense %v, pieces of %d: wrong content, %v", dense, piece, err)
			}
		}
	}
}

// TestDirectUsed checks that pieces of the usual size go past the cache.
func TestDirectUsed(t *testing.T) {
	shortFiles(t)
	f := expecting(t, filepath.Join(t.TempDir(), "disk"), 2<<20, true)
	needDirect(t, f)
	b := make([]byte, 1<<20)
	if !f.direct.takes(b, 1<<20) {
		t.Errorf("memory at %p, alignment %d", unsafe.SliceData(b), f.direct.align)
	}
	if !f.direct.takes(b[64<<10:], 0) {
		t.Error("a part of a piece goes past the cache")
	}
	for name, taken := range map[string]bool{
		"memory":      f.direct.takes(b[512:512+512<<10], 0),
		"length":      f.direct.takes(b[:512<<10+512], 0),
		"offset":      f.direct.takes(b, 512),
		"short write": f.direct.takes(b[:64<<10], 0),
		"no write":    f.direct.takes(nil, 0),
	} {
		if taken {
			t.Errorf("%s: goes past the cache", name)
		}
	}
	// A write that the system rejects goes through the cache.
	f.direct.align = 1
	if n, err := f.WriteAt(b[1:], 7); err != nil || n != len(b)-1 {
		t.Errorf("unaligned write: %d, %v", n, err)
	}
}

// TestExpect checks that Expect does nothing for a short file, and rejects one that does not fit.
func TestExpect(t *testing.T) {
	f := expecting(t, filepath.Join(t.TempDir(), "disk"), longFile-1, true)
	if fi, err := f.Stat(); err != nil || fi.Size() != 0 || f.direct != nil {
		t.Errorf("short file: %v, %v, %v", fi.Size(), f.direct, err)
	}
	needDirect(t, f)
	if err := f.Expect(1<<62, true); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("file that does not fit: %v", err)
	}
	var st syscall.Stat_t
	if err := syscall.Fstat(int(f.File.(*os.File).Fd()), &st); err != nil || st.Size != 0 || st.Blocks != 0 {
		t.Errorf("the rejected file has %d bytes and %d blocks, %v", st.Size, st.Blocks, err)
	}
	if err := f.Expect(1<<62, false); err != nil {
		t.Errorf("file with holes: %v", err)
	}
}
