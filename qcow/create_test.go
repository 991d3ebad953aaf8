package qcow

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"iter"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/luksimg/luksimg/image"
	"github.com/luksimg/luksimg/internal/imagetest"
	"github.com/luksimg/luksimg/internal/pieces"
	"github.com/luksimg/luksimg/luks"
)

// A memFile is a new file in memory. It records the order of writes.
type memFile struct {
	mu      sync.Mutex
	b       []byte
	offsets []int64
	synced  int // number of writes before Sync
}

var errDisk = errors.New("the disk is full")

func (f *memFile) WriteAt(p []byte, off int64) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.offsets = append(f.offsets, off)
	if n := off + int64(len(p)); n > int64(len(f.b)) {
		f.b = append(f.b, make([]byte, n-int64(len(f.b)))...)
	}
	return copy(f.b[off:], p), nil
}

func (f *memFile) Sync() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.synced = len(f.offsets)
	return nil
}

// stream is a reproducible stream of random bytes.
type stream struct{ *rand.ChaCha8 }

func newStream() io.Reader { return stream{rand.NewChaCha8([32]byte{7})} }

func cheapLUKS() luks.Options {
	return luks.Options{KDF: luks.KDF{Iterations: 1000}, Rand: newStream()}
}

// mixed returns a disk with pieces of random bytes, text and zeros of various lengths.
func mixed(size int, seed uint64) []byte {
	b := make([]byte, size)
	rnd := rand.New(rand.NewPCG(seed, 21))
	for at := 0; at < size; {
		n := min(rnd.IntN(60_000)+1, size-at)
		switch rnd.IntN(4) {
		case 0:
			imagetest.Fill(rnd, b[at:at+n])
		case 1, 2:
			for i := range n {
				b[at+i] = "abcdefgh"[rnd.IntN(1<<rnd.IntN(4))]
			}
		}
		at += n
	}
	return b
}

// createFile creates an image of a disk of size bytes with a single byte that is not zero.
func createFile(f *memFile, size int, o CreateOptions) (*CreateResult, error) {
	src := make([]byte, size)
	src[0] = 1
	return Create(context.Background(), f, bytes.NewReader(src), o)
}

func createIn(t testing.TB, src image.Source, o CreateOptions) (*memFile, *CreateResult) {
	t.Helper()
	f := &memFile{}
	r, err := Create(context.Background(), f, src, o)
	if err != nil {
		t.Fatal(err)
	}
	if r.FileSize != int64(len(f.b)) {
		t.Errorf("FileSize is %d, but the file has %d bytes", r.FileSize, len(f.b))
	}
	return f, r
}

// creations returns options of all kinds.
func creations() map[string]CreateOptions {
	key := []byte("correct horse")
	return map[string]CreateOptions{
		"plain":     {},
		"plain 512": {ClusterSize: 512},
		"plain 2M":  {ClusterSize: 2 << 20},
		"zlib":      {Compression: "zlib"},
		"zlib 512":  {Compression: "zlib", ClusterSize: 512},
		"zstd":      {Compression: "zstd"},
		"zstd 4k":   {Compression: "zstd", ClusterSize: 4096},
		"zstd 2M":   {Compression: "zstd", ClusterSize: 2 << 20},
		"luks":      {Passphrase: key, LUKS: cheapLUKS()},
		"luks 512":  {Passphrase: key, LUKS: cheapLUKS(), ClusterSize: 512},
		"luks 2M":   {Passphrase: key, LUKS: cheapLUKS(), ClusterSize: 2 << 20},
	}
}

// TestCreateGolden checks the bytes of images against known hashes, for any number of workers. An
// update of the compression libraries can change those of zstd and zlib.
func TestCreateGolden(t *testing.T) {
	src := mixed(5_000_003, 1)
	golden := map[string]string{
		"plain":     "77724011db328d80",
		"plain 512": "67477f1cd10b99c7",
		"plain 2M":  "b27392bb1cf70ca7",
		"luks":      "7645ffd64c946adf",
		"luks 512":  "f4bda8f8bc4cd762",
		"luks 2M":   "d9ee5b150f5fac05",
	}
	for name := range creations() {
		t.Run(name, func(t *testing.T) {
			var first []byte
			for _, jobs := range []int{1, 2, 5} {
				o := creations()[name]
				o.Jobs = jobs
				f, _ := createIn(t, bytes.NewReader(src), o)
				if first == nil {
					first = f.b
				}
				if !bytes.Equal(f.b, first) {
					t.Errorf("%d workers write different bytes", jobs)
				}
			}
			sum := sha256.Sum256(first)
			if want, ok := golden[name]; ok && fmt.Sprintf("%x", sum[:8]) != want {
				t.Errorf("sha256 %x, want %s", sum[:8], want)
			}
		})
	}
}

func TestCreate(t *testing.T) {
	for name := range creations() {
		for _, size := range []int{0, 1, 511, 512, 513, 65536, 65537, 3_000_000, 9<<20 + 5} {
			t.Run(fmt.Sprint(name, "/", size), func(t *testing.T) {
				t.Parallel()
				o := creations()[name]
				src := mixed(size, uint64(size))
				var done atomic.Int64
				o.Progress = func(n int64) { done.Add(n) }
				f, r := createIn(t, bytes.NewReader(src), o)
				if done.Load() != int64(size) {
					t.Errorf("progress is %d, want %d", done.Load(), size)
				}
				want := append(bytes.Clone(src), make([]byte, -size&511)...)
				if r.VirtualSize != int64(len(want)) || r.ClusterSize < 512 {
					t.Errorf("%+v", r)
				}
				checkCreated(t, f.b, want, r, o.Passphrase)
				// The start of the header must be written last, after a Sync.
				n := len(f.offsets)
				if f.offsets[n-1] != 0 || slices.Contains(f.offsets[:n-1], 0) || f.synced != n-1 {
					t.Errorf("the first cluster was not written last and after a Sync")
				}
			})
		}
	}
}

// checkCreated reads and checks an image that Create made.
func checkCreated(t *testing.T, file, want []byte, r *CreateResult, key []byte) {
	t.Helper()
	d := open(t, file, Options{Key: key})
	got := make([]byte, d.Size())
	if _, err := d.ReadAt(got, 0); err != nil && err != io.EOF || !bytes.Equal(got, want) {
		t.Errorf("the disk differs, or error: %v", err)
	}
	c, err := d.Check(context.Background())
	if err != nil || c.Corruptions+c.Leaks != 0 || c.AllocatedClusters != r.AllocatedClusters ||
		c.CompressedClusters != r.CompressedClusters || c.ImageEnd != r.FileSize {
		t.Errorf("Check: %+v, %v; Create: %+v", c, err, r)
	}
	if len(d.Warnings()) > 0 {
		t.Errorf("%q", d.Warnings())
	}
	var used int64
	var clusters []int64
	for at := int64(0); at < d.Size(); at += r.ClusterSize {
		b := want[at:min(at+r.ClusterSize, d.Size())]
		if !pieces.IsZero(b) {
			used++
			clusters = append(clusters, at/r.ClusterSize)
		}
	}
	if used != r.AllocatedClusters {
		t.Errorf("%d clusters allocated, but %d are not zeros", r.AllocatedClusters, used)
	}
	if (r.LUKS != nil) != (key != nil) || key != nil && (r.LUKS.Version != 1 || d.Encryption() != "luks") {
		t.Errorf("LUKS: %+v", r.LUKS)
	}
	if r.CompressedClusters == 0 {
		o := CreateOptions{ClusterSize: r.ClusterSize, Passphrase: key}
		if n, err := CreateSize(d.Size(), slices.Values(clusters), o); err != nil || n != r.FileSize {
			t.Errorf("CreateSize = %d, %v, but the file has %d bytes", n, err, r.FileSize)
		}
	}
}

// holes is a disk of zeros with data at a few offsets. It counts the bytes that are read.
type holes struct {
	size int64
	data map[int64][]byte
	read atomic.Int64
}

func (h *holes) Size() int64 { return h.size }

func (h *holes) ReadAt(p []byte, off int64) (int, error) {
	h.read.Add(int64(len(p)))
	clear(p)
	for at, b := range h.data {
		if from, to := max(at, off), min(at+int64(len(b)), off+int64(len(p))); from < to {
			copy(p[from-off:to-off], b[from-at:])
		}
	}
	return len(p), nil
}

func (h *holes) Extents(off, n int64) iter.Seq2[image.Extent, error] {
	return func(yield func(image.Extent, error) bool) {
		at := off
		for _, start := range slices.Sorted(func(yield func(int64) bool) {
			for k := range h.data {
				if !yield(k) {
					return
				}
			}
		}) {
			from, to := max(start, off), min(start+int64(len(h.data[start])), off+n)
			if from >= to {
				continue
			}
			if from > at && !yield(image.Extent{Offset: at, Length: from - at, Kind: image.Hole}, nil) ||
				!yield(image.Extent{Offset: from, Length: to - from}, nil) {
				return
			}
			at = to
		}
		if at < off+n {
			yield(image.Extent{Offset: at, Length: off + n - at, Kind: image.Zero}, nil)
		}
	}
}

// TestCreateSparse creates images of very large disks. The file, reads, writes and memory must all
// stay small.
func TestCreateSparse(t *testing.T) {
	for _, c := range []struct {
		name string
		size int64
		o    CreateOptions
		most int64 // maximum size of the file in bytes
	}{
		{"1 TiB", 1 << 40, CreateOptions{}, 1 << 20},
		{"1 TiB luks", 1 << 40, CreateOptions{Passphrase: []byte("key"), LUKS: cheapLUKS()}, 4 << 20},
		{"1 PiB", 1 << 50, CreateOptions{}, 20 << 20},
		{"100 GiB of 512 bytes", 100 << 30, CreateOptions{ClusterSize: 512}, 30 << 20},
		{"2 EiB", 1 << 61, CreateOptions{ClusterSize: 2 << 20}, 80 << 20},
		{"60 TiB zstd", 60 << 40, CreateOptions{Compression: "zstd"}, 2 << 20},
	} {
		t.Run(c.name, func(t *testing.T) {
			src := &holes{size: c.size, data: map[int64][]byte{
				0:              []byte("first"),
				c.size/3 + 17:  bytes.Repeat([]byte("middle"), 1000),
				c.size/2 - 100: bytes.Repeat([]byte("across"), 100),
				c.size - 3:     []byte("end"),
			}}
			o := c.o
			o.Jobs = 2
			f := &sparseFile{data: map[int64][]byte{}}
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			r, err := Create(context.Background(), f, src, o)
			runtime.ReadMemStats(&after)
			if err != nil {
				t.Fatal(err)
			}
			if n := after.TotalAlloc - before.TotalAlloc; n > uint64(32<<20+8*r.ClusterSize) {
				t.Errorf("%d bytes allocated", n)
			}
			if r.FileSize > c.most || src.read.Load() > 16<<20 || r.FileSize != f.size {
				t.Errorf("%+v, %d bytes read", r, src.read.Load())
			}
			d, err := Open(t.Context(), f, f.size, Options{Key: o.Passphrase})
			if err != nil {
				t.Fatal(err)
			}
			for at, want := range src.data {
				got := make([]byte, len(want))
				if _, err := d.ReadAt(got, at); err != nil && err != io.EOF || !bytes.Equal(got, want) {
					t.Errorf("%d bytes at %d: %v, or the data is wrong", len(want), at, err)
				}
			}
			if c, err := d.Check(context.Background()); err != nil || c.Corruptions+c.Leaks != 0 {
				t.Errorf("%+v, %v", c, err)
			}
		})
	}
}

// A sparseFile keeps only the sectors written to it that are not zeros.
type sparseFile struct {
	mu   sync.Mutex
	data map[int64][]byte
	size int64
}

func (f *sparseFile) WriteAt(p []byte, off int64) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.size = max(f.size, off+int64(len(p)))
	if off%4096 == 0 && pieces.IsZero(p) {
		return len(p), nil
	}
	for n := 0; n < len(p); {
		at, b := off+int64(n), p[n:]
		page := at &^ 4095
		if f.data[page] == nil {
			f.data[page] = make([]byte, 4096)
		}
		n += copy(f.data[page][at-page:], b)
	}
	return len(p), nil
}

func (f *sparseFile) ReadAt(p []byte, off int64) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if off >= f.size {
		return 0, io.EOF
	}
	var end error
	if int64(len(p)) > f.size-off {
		p, end = p[:f.size-off], io.EOF
	}
	for n := 0; n < len(p); {
		at := off + int64(n)
		page := at &^ 4095
		k := min(int64(len(p)-n), page+4096-at)
		if b := f.data[page]; b != nil {
			copy(p[n:][:k], b[at-page:])
		} else {
			clear(p[n:][:k])
		}
		n += int(k)
	}
	return len(p), end
}

// TestCreateMemory creates images of a disk that is larger than the memory limit.
func TestCreateMemory(t *testing.T) {
	noise := mixed(8<<20, 3)
	for name, o := range creations() {
		if o.ClusterSize > 1<<20 || o.ClusterSize == 512 && o.Compression != "" {
			continue
		}
		o.Jobs = 2
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		r, err := Create(context.Background(), nowhere{}, again{noise, 48 << 20}, o)
		runtime.ReadMemStats(&after)
		if err != nil || r.AllocatedClusters == 0 {
			t.Fatalf("%s: %+v, %v", name, r, err)
		}
		if n := after.TotalAlloc - before.TotalAlloc; n > 20<<20 {
			t.Errorf("%s: %d bytes allocated", name, n)
		}
	}
}

// again is a disk that repeats the same bytes.
type again struct {
	b    []byte
	size int64
}

func (a again) Size() int64 { return a.size }

func (a again) ReadAt(p []byte, off int64) (int, error) {
	for n := 0; n < len(p); {
		n += copy(p[n:], a.b[(off+int64(n))%int64(len(a.b)):])
	}
	return len(p), nil
}

func TestCreateRefuses(t *testing.T) {
	key := []byte("key")
	for name, c := range map[string]struct {
		size int64
		o    CreateOptions
		want string
	}{
		"clusters of 256 bytes":  {1, CreateOptions{ClusterSize: 256}, "power of two"},
		"clusters of 4 MiB":      {1, CreateOptions{ClusterSize: 4 << 20}, "power of two"},
		"clusters of 3000 bytes": {1, CreateOptions{ClusterSize: 3000}, "power of two"},
		"clusters of -512 bytes": {1, CreateOptions{ClusterSize: -512}, "power of two"},
		"compression lzma":       {1, CreateOptions{Compression: "lzma"}, "compression"},
		"both":                   {1, CreateOptions{Compression: "zlib", Passphrase: key}, "both"},
		"no passphrase":          {1, CreateOptions{Passphrase: []byte{}}, "empty passphrase"},
		"LUKS2":                  {1, CreateOptions{Passphrase: key, LUKS: luks.Options{Version: 2}}, "want 1"},
		"detached":               {1, CreateOptions{Passphrase: key, LUKS: luks.Options{Detached: true}}, "have no meaning"},
		"data offset":            {1, CreateOptions{Passphrase: key, LUKS: luks.Options{DataOffset: 4 << 20}}, "have no meaning"},
		"sectors of 4096":        {1, CreateOptions{Passphrase: key, LUKS: luks.Options{SectorSize: 4096}}, "512"},
		"cipher":                 {1, CreateOptions{Passphrase: key, LUKS: luks.Options{Cipher: "rot13-ecb"}}, "rot13"},
		"more than L1":           {128<<30 + 1, CreateOptions{ClusterSize: 512}, "with clusters of"},
		"2^63-1":                 {1<<63 - 1, CreateOptions{}, "with clusters of"},
		"negative":               {-1, CreateOptions{}, "disk size -1"},
	} {
		t.Run(name, func(t *testing.T) {
			f := &memFile{}
			_, err := Create(context.Background(), f, &holes{size: c.size}, c.o)
			if err == nil || !bytes.Contains([]byte(err.Error()), []byte(c.want)) {
				t.Errorf("%v lacks %q", err, c.want)
			}
			if len(f.offsets) > 0 {
				t.Error("Create wrote to dst")
			}
		})
	}
}

// liar is a source whose extents do not match its bytes.
type liar struct {
	*bytes.Reader
	extents []image.Extent
	err     error
}

func (l liar) Extents(off, n int64) iter.Seq2[image.Extent, error] {
	return func(yield func(image.Extent, error) bool) {
		for _, e := range l.extents {
			if !yield(e, nil) {
				return
			}
		}
		if l.err != nil {
			yield(image.Extent{}, l.err)
		}
	}
}

func TestCreateBadExtents(t *testing.T) {
	r := bytes.NewReader(make([]byte, 3000))
	for name, l := range map[string]liar{
		"none":    {Reader: r},
		"short":   {r, []image.Extent{{Offset: 0, Length: 1000}}, nil},
		"gap":     {r, []image.Extent{{Offset: 0, Length: 1000}, {Offset: 1001, Length: 1999}}, nil},
		"overlap": {r, []image.Extent{{Offset: 0, Length: 1000}, {Offset: 999, Length: 2001}}, nil},
		"long":    {r, []image.Extent{{Offset: 0, Length: 3001}}, nil},
		"error":   {r, []image.Extent{{Offset: 0, Length: 1000}}, errDisk},
	} {
		f := &memFile{}
		_, err := Create(context.Background(), f, l, CreateOptions{ClusterSize: 512})
		if err == nil || l.err != nil && !errors.Is(err, l.err) {
			t.Errorf("%s: %v", name, err)
		}
		if len(f.b) > 8 && Detect(bytes.NewReader(f.b), int64(len(f.b))) {
			t.Errorf("%s: Detect accepts the failed image", name)
		}
	}
}

// TestCreateGrown checks files that grow past the limits of the format.
func TestCreateGrown(t *testing.T) {
	for name, edit := range map[string]func(a *allocator){
		"reference counts":  func(a *allocator) { a.blocks = make([]int64, maxReftableBytes/8) },
		"offsets":           func(a *allocator) { a.next = maxHostOffset },
		"compressed offset": func(a *allocator) { a.next = 1 << (62 - (9 - 8)) },
	} {
		p, err := CreateOptions{ClusterSize: 512, Compression: "zlib"}.plan(1 << 30)
		if err != nil {
			t.Fatal(err)
		}
		a := newAllocator(nowhere{}, p)
		edit(a)
		for i := int64(0); err == nil && i < 2000; i++ {
			if name == "compressed offset" {
				_, err = a.compressedCluster(i, 500)
			} else {
				_, err = a.cluster(i)
			}
		}
		if !errors.Is(err, errGrown) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestCreateCancelledKey cancels Create during the key derivation.
func TestCreateCancelledKey(t *testing.T) {
	ctx, cancel := context.WithCancelCause(context.Background())
	cancel(errDisk)
	f := &memFile{}
	o := CreateOptions{Passphrase: []byte("key"), LUKS: cheapLUKS()}
	if _, err := Create(ctx, f, bytes.NewReader(make([]byte, 100)), o); !errors.Is(err, errDisk) {
		t.Errorf("got %v", err)
	}
}

func TestCreateSizeRefuses(t *testing.T) {
	for _, clusters := range [][]int64{{-1}, {0, 0}, {5, 4}, {2}} {
		if n, err := CreateSize(65536+1, slices.Values(clusters), CreateOptions{}); err == nil {
			t.Errorf("%v: %d", clusters, n)
		}
	}
	// This needs many refcount blocks: more than 2 GiB in clusters of 64 KiB.
	all := func(yield func(int64) bool) {
		for i := int64(0); i < 100_000 && yield(i); i++ {
		}
	}
	n, err := CreateSize(100_000<<16, all, CreateOptions{})
	if want := int64(100_000+1+1+13+1+4) << 16; err != nil || n != want {
		t.Errorf("%d, %v, want %d", n, err, want)
	}
}

// FuzzCreate creates images and reads them back.
func FuzzCreate(f *testing.F) {
	f.Add([]byte("abc"), uint16(0), uint8(0), uint8(0))
	f.Add([]byte(""), uint16(1000), uint8(1), uint8(1))
	f.Add(bytes.Repeat([]byte("x"), 700), uint16(65000), uint8(2), uint8(2))
	f.Add(bytes.Repeat([]byte("0123456789abcdef"), 70), uint16(513), uint8(3), uint8(3))
	f.Add(bytes.Repeat([]byte{0}, 1000), uint16(4096), uint8(7), uint8(12))
	f.Fuzz(func(t *testing.T, data []byte, gap uint16, how, bits uint8) {
		data = data[:min(len(data), 100_000)]
		// Zeros, the data, zeros, and the data again.
		src := append(append(make([]byte, gap), data...), make([]byte, int(gap)/2)...)
		src = append(src, data...)
		o := CreateOptions{ClusterSize: 512 << (bits % 8), Jobs: int(how/4%3) + 1}
		switch how % 4 {
		case 1:
			o.Compression = "zlib"
		case 2:
			o.Compression = "zstd"
		case 3:
			o.Passphrase, o.LUKS = []byte("key"), cheapLUKS()
		}
		out, r := createIn(t, bytes.NewReader(src), o)
		checkCreated(t, out.b, append(src, make([]byte, -len(src)&511)...), r, o.Passphrase)
	})
}
