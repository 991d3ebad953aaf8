package vmdk

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/luksimg/luksimg/image"
	"github.com/luksimg/luksimg/internal/chain"
)

func TestRead(t *testing.T) {
	all := imgs()
	if len(all) < 40 {
		t.Errorf("%d images", len(all))
	}
	for name, m := range all {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := m.build()
			d := open(t, w.file, Options{})
			compare(t, d, w.guest)
			i, err := d.Info(context.Background())
			if err != nil || i.VirtualSize != int64(len(w.guest)) || i.Compressed != m.compress || i.FileSize != int64(len(w.file)) {
				t.Errorf("%+v, %v", i, err)
			}
			if got, want := i.AllocatedBytes, int64(len(w.guest)-bytes.Count(w.guest, []byte{0})); got != want {
				t.Errorf("%d bytes allocated, want %d", got, want)
			}
			odd := m.unclean || m.flags != 0 || m.noEnd || m.nominal != 0
			if odd != (len(i.Warnings) > 0) {
				t.Errorf("warnings: %q", i.Warnings)
			}
			if !Detect(bytes.NewReader(w.file), int64(len(w.file))) {
				t.Error("not detected")
			}
		})
	}
}

// compare reads all of a disk, and parts of it at random from many goroutines.
func compare(t *testing.T, d *Disk, guest []byte) {
	t.Helper()
	if d.Size() != int64(len(guest)) {
		t.Fatalf("size %d, want %d", d.Size(), len(guest))
	}
	got := make([]byte, len(guest)+1)
	if n, err := d.ReadAt(got, 0); n != len(guest) || err != io.EOF || !bytes.Equal(got[:n], guest) {
		t.Fatalf("ReadAt of all = %d, %v, or other bytes", n, err)
	}
	checkExtents(t, d, guest, 0, d.Size())
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			rnd := rand.New(rand.NewPCG(uint64(g), 9))
			for range 30 {
				off := rnd.IntN(len(guest))
				n := min(rnd.IntN(1<<rnd.IntN(18)+1), len(guest)-off)
				p := make([]byte, n)
				if got, err := d.ReadAt(p, int64(off)); got != n || err != nil || !bytes.Equal(p, guest[off:off+n]) {
					t.Errorf("ReadAt(%d bytes, %d) = %d, %v, or other bytes", n, off, got, err)
					return
				}
				if n > 0 && rnd.IntN(10) == 0 {
					checkExtents(t, d, guest, int64(off), int64(n))
				}
			}
		})
	}
	wg.Wait()
}

// checkExtents checks that the extents of a range cover it exactly and tell data
// from zeros. The data of the builder has no zero bytes, so it can be exact.
func checkExtents(t *testing.T, d *Disk, guest []byte, off, n int64) {
	t.Helper()
	at := off
	for e, err := range d.Extents(off, n) {
		if err != nil || e.Offset != at || e.Length <= 0 || e.End() > off+n {
			t.Errorf("Extents(%d, %d): extent %+v, %v, want one from %d on", off, n, e, err, at)
			return
		}
		at = e.End()
		if b := guest[e.Offset:at]; e.Kind == image.Data {
			if bytes.IndexByte(b, 0) >= 0 {
				t.Errorf("Extents(%d, %d): %+v has zeros", off, n, e)
			}
		} else if bytes.Count(b, []byte{0}) != len(b) {
			t.Errorf("Extents(%d, %d): %+v has data", off, n, e)
		}
	}
	if at != off+n {
		t.Errorf("Extents(%d, %d) end at %d", off, n, at)
	}
}

func TestReadAtEdges(t *testing.T) {
	w := img{sectors: 10, kinds: "d"}.build()
	d := open(t, w.file, Options{})
	p := make([]byte, 100)
	for _, c := range []struct {
		off int64
		n   int
		eof bool
	}{{5120, 0, true}, {5110, 10, true}, {5020, 100, false}, {1 << 62, 0, true}} {
		if n, err := d.ReadAt(p, c.off); n != c.n || (err == io.EOF) != c.eof {
			t.Errorf("ReadAt(%d) = %d, %v", c.off, n, err)
		}
	}
	if _, err := d.ReadAt(p, -1); err == nil || err == io.EOF {
		t.Errorf("negative: %v", err)
	}
	if n, err := d.ReadAt(nil, 7000); n != 0 || err != nil {
		t.Errorf("nothing: %d, %v", n, err)
	}
	for _, r := range [][2]int64{{-5, 10}, {0, 1 << 62}, {5120, 1}, {6000, 1}, {3, -1}, {-1 << 63, -1 << 63}, {1<<63 - 1, 1<<63 - 1}} {
		for e, err := range d.Extents(r[0], r[1]) {
			if err != nil || e.Offset < 0 || e.Length <= 0 || e.End() > 5120 {
				t.Errorf("Extents(%v): %+v, %v", r, e, err)
			}
		}
	}
}

// splits are disks of many files: the descriptor, the files, and the content.
func splits() map[string]func() (string, map[string][]byte, []byte) {
	head := "# Disk DescriptorFile\nversion=1\nCID=123a\nparentCID=ffffffff\ncreateType=\"custom\"\n"
	flat := noise(10_000*sectorSize, 5)
	sparse := img{sectors: 5000, bare: true, kinds: "-d", seed: 6}.build()
	small := img{sectors: 3000, bare: true, grain: 8, entries: 16, kinds: "-hd", redundant: true, seed: 7}.build()
	packed := img{version: 3, sectors: 2000, compress: true, markers: true, late: true, footer: true, seed: 8}.build()
	rounded := img{sectors: 2048, bare: true, nominal: 2000, kinds: "d", seed: 9}.build()
	mib := func(n int64) []byte { return make([]byte, n*sectorSize) }
	join := func(parts ...[]byte) []byte { return bytes.Join(parts, nil) }
	files := map[string][]byte{"flat": flat, "s001": sparse.file, "s002": small.file, "packed": packed.file, "rounded": rounded.file,
		"../../etc/passwd": flat, "name with spaces (1).vmdk": flat}
	return map[string]func() (string, map[string][]byte, []byte){
		"flat": func() (string, map[string][]byte, []byte) { return head + "RW 10000 FLAT \"flat\" 0\n", files, flat },
		"vmfs": func() (string, map[string][]byte, []byte) { return head + "RW 10000 VMFS \"flat\"\n", files, flat },
		"pieces of a flat file": func() (string, map[string][]byte, []byte) {
			return head + "RW 100 FLAT \"flat\" 500\nRDONLY 200 FLAT \"flat\" 600\nRW 50 FLAT \"flat\" 9950 partitionUUID x\n", files,
				join(flat[500*sectorSize:800*sectorSize], flat[9950*sectorSize:])
		},
		"zero in between": func() (string, map[string][]byte, []byte) {
			return head + "RW 63 FLAT \"flat\" 0\nRW 1000 ZERO\nNOACCESS 8 ZERO\nRW 63 FLAT \"flat\" 63\n", files,
				join(flat[:63*sectorSize], mib(1008), flat[63*sectorSize:126*sectorSize])
		},
		"zero only": func() (string, map[string][]byte, []byte) { return head + "RW 12345 ZERO\n", nil, mib(12345) },
		"sparse": func() (string, map[string][]byte, []byte) {
			return head + "RW 5000 SPARSE \"s001\"\nRW 3000 SPARSE \"s002\"\n", files, join(sparse.guest, small.guest)
		},
		"all kinds": func() (string, map[string][]byte, []byte) {
			return head + "RW 5000 SPARSE \"s001\"\n  RW\t77  FLAT  \"flat\"  1 \nRW 2000 SPARSE \"packed\" 0\nRW 1 ZERO\nRW 3000 SPARSE \"s002\"\n", files,
				join(sparse.guest, flat[sectorSize:78*sectorSize], packed.guest, mib(1), small.guest)
		},
		"rounded": func() (string, map[string][]byte, []byte) {
			return head + "RW 2000 SPARSE \"rounded\"\nRW 1 FLAT \"flat\" 0\n", files, join(rounded.guest, flat[:sectorSize])
		},
		"odd names": func() (string, map[string][]byte, []byte) {
			return head + "RW 1 FLAT \"../../etc/passwd\" 0\nRW 1 FLAT \"name with spaces (1).vmdk\" 0", files, join(flat[:sectorSize], flat[:sectorSize])
		},
		"text oddities": func() (string, map[string][]byte, []byte) {
			return "\n# a comment\n\n VERSION = \"2\"\r\nEncoding=\"UTF-8\"\r\ncid = 0\nCREATETYPE=\"monolithicFlat\"\nchangeTrackPath=\"x-ctk.vmdk\"\nkey=a=b\nRW 10 FLAT \"flat\"\r\n" +
				strings.Repeat("#", 2000), files, flat[:10*sectorSize]
		},
	}
}

func TestReadSplit(t *testing.T) {
	for name, make := range splits() {
		t.Run(name, func(t *testing.T) {
			text, files, want := make()
			var asked []Ref
			d := open(t, []byte(text), Options{Resolve: memory(files, &asked)})
			compare(t, d, want)
			names := map[string]bool{}
			for _, r := range asked {
				if r.Parent || r.Depth != 1 || names[r.Name] || r.Type == "" {
					t.Errorf("asked for %+v", r)
				}
				names[r.Name] = true
			}
			i, err := d.Info(context.Background())
			if err != nil || len(i.Extents) != len(d.extents) || i.AllocatedBytes != int64(len(want)-bytes.Count(want, []byte{0})) {
				t.Errorf("%+v, %v", i, err)
			}
		})
	}
}

// Of a disk in other files nothing is opened without a resolver, and with
// MetadataOnly none is asked.
func TestRefused(t *testing.T) {
	text := "version=1\nCID=12ab\nparentCID=ffffffff\ncreateType=\"monolithicFlat\"\nRW 100 FLAT \"/etc/shadow\" 7\nRW 1 ZERO\n"
	_, err := Open(strings.NewReader(text), int64(len(text)), Options{})
	var refused *RefusedError
	if !errors.As(err, &refused) || refused.Ref.Name != "/etc/shadow" || refused.Ref.Type != "FLAT" || refused.Ref.Parent {
		t.Fatalf("got %v", err)
	}
	never := func(r Ref) (image.Source, error) { t.Errorf("asked for %+v", r); return nil, nil }
	d := open(t, []byte(text), Options{MetadataOnly: true, Resolve: never})
	if _, err := d.ReadAt(make([]byte, 1), 0); err == nil || err == io.EOF {
		t.Errorf("read: %v", err)
	}
	for _, err := range d.Extents(0, 1) {
		if err == nil {
			t.Error("extents of metadata only")
		}
	}
	i, err := d.Info(context.Background())
	if err != nil || i.VirtualSize != 101*sectorSize || i.CID != "000012ab" || i.ParentCID != "" ||
		i.Extents[0] != (ExtentInfo{"RW", "FLAT", "/etc/shadow", 7 * sectorSize, 100 * sectorSize}) {
		t.Errorf("%+v, %v", i, err)
	}
	delta := img{sectors: 100, parent: "12ab", hint: "C:\\base.vmdk"}.build()
	_, err = Open(bytes.NewReader(delta.file), int64(len(delta.file)), Options{})
	if !errors.As(err, &refused) || !refused.Ref.Parent || refused.Ref.Name != "C:\\base.vmdk" {
		t.Fatalf("got %v", err)
	}
	d = open(t, delta.file, Options{MetadataOnly: true, Resolve: never})
	if i, err := d.Info(context.Background()); err != nil || i.ParentCID != "000012ab" || i.ParentFile != "C:\\base.vmdk" {
		t.Errorf("%+v, %v", i, err)
	}
	bad := errors.New("no")
	for want, resolve := range map[error]func(Ref) (image.Source, error){
		bad: func(Ref) (image.Source, error) { return nil, bad },
		nil: func(Ref) (image.Source, error) { return nil, nil },
	} {
		if _, err := Open(strings.NewReader(text), int64(len(text)), Options{Resolve: resolve}); err == nil || want != nil && !errors.Is(err, want) {
			t.Errorf("got %v", err)
		}
	}
}

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
			raw := noise(sectors*sectorSize, 4)
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
				var asked []Ref
				d := open(t, top.file, Options{ID: "top", Resolve: memory(map[string][]byte{"base": file}, &asked)})
				t.Run(name+" on "+kind, func(t *testing.T) { compare(t, d, want) })
				if len(asked) != 1 || !asked[0].Parent || asked[0].Name != "base" || asked[0].Depth != 1 {
					t.Errorf("asked for %+v", asked)
				}
			}
		}
	}
}

// A delta disk that is split reads its parent where the extent is in the disk.
func TestParentSplit(t *testing.T) {
	a := img{sectors: 1000, bare: true, seed: 1}.build()
	b := img{sectors: 1000, bare: true, seed: 2}.build()
	base := noise(2000*sectorSize, 3)
	want := append(bytes.Clone(a.guest), b.guest...)
	for i, v := range want {
		if v == 0 {
			want[i] = base[i]
		}
	}
	text := "version=1\nCID=1\nparentCID=2\nparentFileNameHint=\"base\"\ncreateType=\"twoGbMaxExtentSparse\"\nRW 1000 SPARSE \"a\"\nRW 1000 SPARSE \"b\"\n"
	var asked []Ref
	compare(t, open(t, []byte(text), Options{Resolve: memory(map[string][]byte{"a": a.file, "b": b.file, "base": base}, &asked)}), want)
}

func TestParentMismatch(t *testing.T) {
	top := img{sectors: 100, parent: "1", hint: "base"}.build()
	base := img{sectors: 100, cid: "2"}.build()
	var asked []Ref
	_, err := Open(bytes.NewReader(top.file), int64(len(top.file)), Options{Resolve: memory(map[string][]byte{"base": base.file}, &asked)})
	if !errors.Is(err, image.ErrFormat) || !strings.Contains(err.Error(), "00000002") {
		t.Errorf("got %v", err)
	}
}

func TestParentLoops(t *testing.T) {
	a := img{sectors: 10, cid: "1", parent: "1", hint: "b"}.build().file
	b := img{sectors: 10, cid: "1", parent: "1", hint: "a"}.build().file
	self := img{sectors: 10, cid: "1", parent: "1", hint: "self"}.build().file
	var asked []Ref
	files := map[string][]byte{"a": a, "b": b, "self": self}
	for name, file := range files {
		asked = nil
		_, err := Open(bytes.NewReader(file), int64(len(file)), Options{ID: name, Resolve: memory(files, &asked)})
		if !errors.Is(err, image.ErrFormat) || len(asked) > 3 {
			t.Errorf("%s: %v, asked %d times", name, err, len(asked))
		}
	}
	// Without identities the length of the chain is what ends it.
	n := 0
	resolve := func(r Ref) (image.Source, error) {
		n++
		return Open(bytes.NewReader(self), int64(len(self)), r.Options())
	}
	if _, err := Open(bytes.NewReader(self), int64(len(self)), Options{Resolve: resolve}); !errors.Is(err, image.ErrUnsupported) || n > chain.Max+1 {
		t.Errorf("%v after %d files", err, n)
	}
}

var errDevice = errors.New("device error")

// flaky fails once its reads are used up.
type flaky struct {
	r    io.ReaderAt
	left int64
}

func (f *flaky) ReadAt(p []byte, off int64) (int, error) {
	if f.left--; f.left < 0 {
		return 0, errDevice
	}
	return f.r.ReadAt(p, off)
}

func TestReadErrors(t *testing.T) {
	for _, m := range []img{
		{sectors: 3000, redundant: true},
		{sectors: 3000, version: 3, compress: true, markers: true, late: true, footer: true, kinds: "d"},
	} {
		w := m.build()
		good := 0
		for left := range int64(60) {
			f := &flaky{r: bytes.NewReader(w.file), left: left}
			d, err := Open(f, int64(len(w.file)), Options{})
			if err == nil {
				_, err = d.ReadAt(make([]byte, 3000*sectorSize), 0)
			}
			if err == nil {
				good++
			} else if !errors.Is(err, errDevice) {
				t.Fatalf("%d reads: %v", left, err)
			}
		}
		if good == 0 || good == 60 {
			t.Errorf("%d of 60 without an error", good)
		}
	}
}

// counter counts reads.
type counter struct {
	r     io.ReaderAt
	mu    sync.Mutex
	reads int
}

func (c *counter) ReadAt(p []byte, off int64) (int, error) {
	c.mu.Lock()
	c.reads++
	c.mu.Unlock()
	return c.r.ReadAt(p, off)
}

// A grain is decompressed once, however many ask for parts of it.
func TestOneDecode(t *testing.T) {
	w := img{sectors: 128, version: 3, compress: true, markers: true, kinds: "d"}.build()
	c := &counter{r: bytes.NewReader(w.file)}
	d, err := Open(c, int64(len(w.file)), Options{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.ReadAt(make([]byte, 10), 100); err != nil {
		t.Fatal(err)
	}
	before := c.reads
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			for i := range 50 {
				off := (g*50 + i) * 150
				p := make([]byte, 150)
				if _, err := d.ReadAt(p, int64(off)); err != nil || !bytes.Equal(p, w.guest[off:][:150]) {
					t.Errorf("at %d: %v", off, err)
				}
			}
		})
	}
	wg.Wait()
	if c.reads != before {
		t.Errorf("%d more reads", c.reads-before)
	}
}

// An empty disk of many TiB costs nothing but its directory.
func TestEmptyHuge(t *testing.T) {
	const sectors = 64 << 31 // 64 TiB
	n := int64(sectors / 128 / 512)
	w := img{sectors: 128}.build()
	w.file = append(w.file, make([]byte, 4*n)...)
	le.PutUint64(w.file[offCapacity:], sectors)
	le.PutUint64(w.file[offDirectory:], uint64(int64(len(w.file))-4*n)/sectorSize)
	copy(w.file[sectorSize:], make([]byte, descriptorSectors*sectorSize))
	m := img{nominal: sectors}
	m.defaults()
	copy(w.file[sectorSize:], m.text("x", "SPARSE"))
	c := &counter{r: bytes.NewReader(w.file)}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	d, err := Open(c, int64(len(w.file)), Options{})
	runtime.ReadMemStats(&after)
	if err != nil {
		t.Fatal(err)
	}
	if got := int64(after.TotalAlloc - before.TotalAlloc); got > 4*n+1<<20 {
		t.Errorf("Open allocated %d bytes", got)
	}
	opened := c.reads
	i, err := d.Info(context.Background())
	if err != nil || i.VirtualSize != sectors*sectorSize || i.AllocatedBytes != 0 {
		t.Errorf("%+v, %v", i, err)
	}
	for e, err := range image.Extents(d, 0, d.Size()) {
		if err != nil || e.Kind != image.Hole || e.Length != d.Size() {
			t.Errorf("%+v, %v", e, err)
		}
	}
	if c.reads != opened {
		t.Errorf("%d reads of an empty disk", c.reads-opened)
	}
}
