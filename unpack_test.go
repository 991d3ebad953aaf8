package luksimg_test

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/klauspost/compress/zstd"

	"github.com/luksimg/luksimg"
	"github.com/luksimg/luksimg/image"
)

// rawDisk returns a disk of n bytes that compresses badly and contains zeros.
func rawDisk(n int) []byte {
	b := make([]byte, n)
	sum := sha256.Sum256(nil)
	for i := 4096; i < n; i += 64 {
		if i>>16&3 != 3 {
			sum = sha256.Sum256(sum[:])
			copy(b[i:], sum[:])
		}
	}
	copy(b, "a raw disk")
	return b
}

// growing is a file in memory that grows as it is written.
type growing struct {
	buffer
	mu sync.Mutex
}

func (g *growing) WriteAt(p []byte, off int64) (int, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if err := g.Truncate(max(int64(len(g.b)), off+int64(len(p)))); err != nil {
		return 0, err
	}
	return g.buffer.WriteAt(p, off)
}

func gzipped(t testing.TB, b []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	if _, err := w.Write(b); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// frames compresses b as zstd frames of n bytes each.
func frames(t testing.TB, b []byte, n int) []byte {
	t.Helper()
	w, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	var out []byte
	for part := range slices.Chunk(b, n) {
		out = w.EncodeAll(part, out)
	}
	return out
}

// scratch makes scratch files and counts them.
func scratch(t testing.TB, n *int) func(int64) (luksimg.ScratchFile, error) {
	return func(int64) (luksimg.ScratchFile, error) {
		*n++
		return os.Create(filepath.Join(t.TempDir(), "scratch"))
	}
}

func readAll(t testing.TB, src image.Source) []byte {
	t.Helper()
	b, err := io.ReadAll(io.NewSectionReader(src, 0, src.Size()))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func open(t testing.TB, b []byte, o luksimg.ImageOptions) (*luksimg.Image, error) {
	t.Helper()
	img, err := luksimg.OpenImage(t.Context(), bytes.NewReader(b), int64(len(b)), o)
	if err == nil {
		t.Cleanup(func() { img.Close() })
	}
	return img, err
}

func TestUnpack(t *testing.T) {
	raw := rawDisk(5<<20 + 512)
	q := new(growing)
	if _, err := luksimg.Decrypt(t.Context(), q, bytes.NewReader(raw), luksimg.DecryptOptions{Format: luksimg.QCOW2}); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		file    []byte
		format  luksimg.Format
		layers  string
		random  bool
		inOrder bool
		scratch int
	}{
		"raw":                 {raw, luksimg.Raw, "", false, false, 0},
		"gzip":                {gzipped(t, raw), luksimg.Raw, "gzip", false, true, 0},
		"gzip at random":      {gzipped(t, raw), luksimg.Raw, "gzip", true, false, 1},
		"one frame":           {frames(t, raw, len(raw)), luksimg.Raw, "zstd", false, true, 0},
		"frames":              {frames(t, raw, 300_000), luksimg.Raw, "zstd", false, false, 0},
		"long frames":         {frames(t, raw, 3<<20), luksimg.Raw, "zstd", true, false, 0},
		"qcow2, gzip":         {gzipped(t, q.b), luksimg.QCOW2, "gzip", false, false, 1},
		"qcow2, frames":       {frames(t, q.b, 200_000), luksimg.QCOW2, "zstd", false, false, 0},
		"qcow2, zstd in gzip": {gzipped(t, frames(t, q.b, 1<<20)), luksimg.QCOW2, "gzip > zstd", false, false, 1},
		"gzip in gzip":        {gzipped(t, gzipped(t, raw)), luksimg.Raw, "gzip > gzip", false, true, 1},
	} {
		t.Run(name, func(t *testing.T) {
			n := 0
			o := luksimg.ImageOptions{Unpack: luksimg.Unpacking{Random: c.random, Scratch: scratch(t, &n)}}
			img, err := open(t, c.file, o)
			if err != nil {
				t.Fatal(err)
			}
			if got := strings.Join(img.Layers, " > "); img.Format != c.format || got != c.layers || img.InOrder != c.inOrder || n != c.scratch {
				t.Errorf("%s in %q, in order %v, %d scratch files", img.Format, got, img.InOrder, n)
			}
			for range 2 {
				if got := readAll(t, img); !bytes.Equal(got, raw) && !bytes.Equal(got, raw[:len(raw)/512*512]) {
					t.Error("the disk differs")
				}
			}
			i, err := luksimg.Inspect(t.Context(), bytes.NewReader(c.file), int64(len(c.file)), o)
			if err != nil {
				t.Fatal(err)
			}
			if got := strings.Join(i.Layers, " > "); i.Format != c.format || got != c.layers || i.VirtualSize != img.Size() || i.FileSize != int64(len(c.file)) {
				t.Errorf("inspect: %s in %q, a disk of %d bytes in a file of %d", i.Format, got, i.VirtualSize, i.FileSize)
			}
			i.Disk.Close()
		})
	}
}

func TestUnpackRefuses(t *testing.T) {
	raw := rawDisk(1 << 20)
	nested := raw
	for range 5 {
		nested = gzipped(t, nested)
	}
	z := gzipped(t, raw)
	fixed := new(growing)
	if _, err := luksimg.Decrypt(t.Context(), fixed, bytes.NewReader(raw), luksimg.DecryptOptions{Format: luksimg.VHD, Fixed: true}); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		file []byte
		o    luksimg.ImageOptions
		want error
	}{
		"never":        {z, luksimg.ImageOptions{Unpack: luksimg.Unpacking{Never: true}}, luksimg.ErrUnsupportedFormat},
		"unknown size": {z, luksimg.ImageOptions{Unpack: luksimg.Unpacking{KnownSize: true}}, luksimg.ErrUnknownSize},
		"layers":       {nested, luksimg.ImageOptions{}, luksimg.ErrLayers},
		"no memory":    {gzipped(t, make([]byte, 33<<20)), luksimg.ImageOptions{Unpack: luksimg.Unpacking{Random: true}}, luksimg.ErrScratch},
	} {
		if _, err := open(t, c.file, c.o); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	// Only the end shows that a disk is a fixed VHD. Finding the size reads the end.
	if _, err := open(t, gzipped(t, fixed.b), luksimg.ImageOptions{}); !errors.Is(err, luksimg.ErrFixedVHD) {
		t.Errorf("open of a fixed VHD: %v", err)
	}
	img, err := open(t, frames(t, fixed.b, len(fixed.b)), luksimg.ImageOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if err := img.CheckEnd(t.Context()); !errors.Is(err, luksimg.ErrFixedVHD) {
		t.Errorf("the end of a fixed VHD: %v", err)
	}
	if _, err := io.ReadAll(io.NewSectionReader(img, 0, img.Size())); !errors.Is(err, luksimg.ErrFixedVHD) {
		t.Errorf("read of a fixed VHD: %v", err)
	}
	for name, other := range map[string][]byte{"shorter": raw, "longer, and other": rawDisk(2 << 20)[1<<10:]} {
		err := luksimg.Verify(t.Context(), img, bytes.NewReader(other), luksimg.VerifyOptions{})
		if !errors.Is(err, luksimg.ErrFixedVHD) || errors.Is(err, luksimg.ErrMismatch) {
			t.Errorf("a fixed VHD compared with a disk that is %s: %v", name, err)
		}
	}
	img, err = open(t, gzipped(t, fixed.b), luksimg.ImageOptions{Format: luksimg.Raw})
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(readAll(t, img), fixed.b) || img.CheckEnd(t.Context()) != nil {
		t.Error("a fixed VHD opened as raw: the disk differs or its end is refused")
	}
	img, err = open(t, gzipped(t, fixed.b), luksimg.ImageOptions{Format: luksimg.VHD})
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(readAll(t, img), raw) {
		t.Error("a fixed VHD: the disk differs")
	}
}
