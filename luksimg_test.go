package luksimg_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"iter"
	mathrand "math/rand/v2"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/luksimg/luksimg"
	"github.com/luksimg/luksimg/image"
	"github.com/luksimg/luksimg/internal/golden"
	"github.com/luksimg/luksimg/luks"
)

var (
	key   = []byte("YWJjZGVmZ2hpamtsbW5vcHFyc3R1dnd4eXowMTIzNDU=")
	cheap = luks.KDF{Type: luks.PBKDF2, Iterations: 1000}
)

// buffer is a file in memory.
type buffer struct{ b []byte }

func (f *buffer) WriteAt(p []byte, off int64) (int, error) {
	if end := off + int64(len(p)); end > int64(len(f.b)) {
		return 0, errors.New("write past the end")
	}
	return copy(f.b[off:], p), nil
}

func (f *buffer) Truncate(n int64) error {
	f.b = append(f.b[:min(n, int64(len(f.b)))], make([]byte, max(n-int64(len(f.b)), 0))...)
	return nil
}

// disk is a source with holes. Reading a hole is an error.
type disk struct {
	b     []byte
	holes []image.Extent
}

func (d *disk) Size() int64 { return int64(len(d.b)) }

func (d *disk) ReadAt(p []byte, off int64) (int, error) {
	for _, h := range d.holes {
		if off >= h.Offset && off+int64(len(p)) <= h.End() {
			return 0, errors.New("a hole was read")
		}
	}
	return bytes.NewReader(d.b).ReadAt(p, off)
}

func (d *disk) Extents(off, n int64) iter.Seq2[image.Extent, error] {
	return func(yield func(image.Extent, error) bool) {
		at, end := off, off+n
		for _, h := range append(d.holes, image.Extent{Offset: d.Size(), Kind: image.Hole}) {
			if from := max(h.Offset, at); at < min(from, end) {
				if !yield(image.Extent{Offset: at, Length: min(from, end) - at}, nil) {
					return
				}
				at = min(from, end)
			}
			if to := min(h.End(), end); at < to {
				if !yield(image.Extent{Offset: at, Length: to - at, Kind: h.Kind}, nil) {
					return
				}
				at = to
			}
		}
	}
}

func hole(off, n int64) image.Extent { return image.Extent{Offset: off, Length: n, Kind: image.Hole} }
func zero(off, n int64) image.Extent { return image.Extent{Offset: off, Length: n, Kind: image.Zero} }

// newDisk returns a disk of n random bytes, with holes.
func newDisk(n int, holes ...image.Extent) *disk {
	d := &disk{make([]byte, n), holes}
	mathrand.NewChaCha8([32]byte{byte(n)}).Read(d.b)
	for _, h := range holes {
		clear(d.b[h.Offset:h.End()])
	}
	return d
}

var sizes = []int{0, 1, 511, 512, 513, 4095, 4096, 256<<10 - 1, 256 << 10, 256<<10 + 1, 1<<20 + 4096, 3<<20 - 7}

func TestEncryptDecrypt(t *testing.T) {
	ctx := context.Background()
	for _, o := range []luksimg.EncryptOptions{
		{LUKS: luks.Options{Version: 1, KDF: cheap}},
		{LUKS: luks.Options{KDF: cheap, DataOffset: 1 << 20}},
		{LUKS: luks.Options{KDF: cheap, SectorSize: 4096, DataOffset: 1 << 20}},
		{Profile: luksimg.ClassicLUKS},
	} {
		for _, n := range sizes {
			for _, jobs := range []int{1, 5} {
				name := fmt.Sprintf("%s/luks%d/%d/%d bytes/%d jobs", o.Profile, o.LUKS.Version, o.LUKS.SectorSize, n, jobs)
				t.Run(name, func(t *testing.T) {
					src := newDisk(n)
					var done atomic.Int64
					o.Jobs, o.Progress = jobs, func(n int64) { done.Add(n) }
					dst := &buffer{make([]byte, 10<<20)}
					r, err := luksimg.Encrypt(ctx, dst, src, key, o)
					if err != nil {
						t.Fatal(err)
					}
					if done.Load() != int64(n) {
						t.Errorf("progress of %d bytes, want %d", done.Load(), n)
					}
					checkSizes(t, o, r, int64(n))
					dst.b = dst.b[:r.FileSize]
					check(t, dst.b, src)
				})
			}
			for way, encrypt := range map[string]func(dst io.Writer, src *disk) (*luksimg.Result, error){
				"stream": func(dst io.Writer, src *disk) (*luksimg.Result, error) {
					return luksimg.EncryptStream(ctx, dst, iotestHalf{bytes.NewReader(src.b)}, key, o)
				},
				"in order": func(dst io.Writer, src *disk) (*luksimg.Result, error) {
					return luksimg.EncryptInOrder(ctx, dst, src, key, o)
				},
			} {
				t.Run(fmt.Sprintf("%s/luks%d/%d/%d bytes/%s", o.Profile, o.LUKS.Version, o.LUKS.SectorSize, n, way), func(t *testing.T) {
					src := newDisk(n)
					var dst bytes.Buffer
					var done atomic.Int64
					o.Jobs, o.Progress = 0, func(n int64) { done.Add(n) }
					r, err := encrypt(&dst, src)
					if err != nil {
						t.Fatal(err)
					}
					if done.Load() != int64(n) {
						t.Errorf("progress of %d bytes, want %d", done.Load(), n)
					}
					if r.FileSize != int64(dst.Len()) {
						t.Errorf("%d bytes written, the result says %d", dst.Len(), r.FileSize)
					}
					checkSizes(t, o, r, int64(n))
					check(t, dst.Bytes(), src)
				})
			}
		}
	}
}

// iotestHalf returns short reads.
type iotestHalf struct{ r io.Reader }

func (h iotestHalf) Read(p []byte) (int, error) { return h.r.Read(p[:(len(p)+1)/2]) }

func checkSizes(t *testing.T, o luksimg.EncryptOptions, r *luksimg.Result, n int64) {
	t.Helper()
	sector := max(int64(o.LUKS.SectorSize), 512)
	want := r.LUKS.DataOffset + (n+sector-1)/sector*sector
	if o.Profile == luksimg.ClassicLUKS {
		want = (n + 4<<20 + 1<<20 - 1) >> 20 << 20
	}
	if r.FileSize != want || r.SourceSize != n || r.VolumeSize != want-r.LUKS.DataOffset {
		t.Errorf("file of %d bytes, want %d; source %d, volume %d", r.FileSize, want, r.SourceSize, r.VolumeSize)
	}
}

// check decrypts an image in every possible way and compares it with the disk.
func check(t *testing.T, img []byte, src *disk) {
	t.Helper()
	ctx := context.Background()
	v, err := luksimg.OpenImage(ctx, bytes.NewReader(img), int64(len(img)), luksimg.ImageOptions{Key: key})
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	want := append(bytes.Clone(src.b), make([]byte, v.Size()-src.Size())...)
	dst := &buffer{make([]byte, v.Size())}
	if _, err := luksimg.Decrypt(ctx, dst, v, luksimg.DecryptOptions{RunOptions: luksimg.RunOptions{Jobs: 3}}); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(dst.b, want) {
		t.Error("Decrypt: the data differs")
	}
	var stream bytes.Buffer
	if _, err := luksimg.DecryptInOrder(ctx, &stream, v, luksimg.DecryptOptions{}); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(stream.Bytes(), want) {
		t.Error("DecryptInOrder: the data differs")
	}
	if err := luksimg.Verify(ctx, src, v, luksimg.VerifyOptions{}); err != nil {
		t.Error(err)
	}
}

// TestHoles encrypts a disk whose holes must not be read.
func TestHoles(t *testing.T) {
	const mib = 1 << 20
	for _, holes := range [][]image.Extent{
		{hole(0, 5*mib)},
		{zero(0, 2*mib), hole(3*mib, 2*mib)},
		{hole(mib+512, mib), zero(3*mib-512, mib+1024)},
		{zero(100_000, 100), hole(100_100, 2_000_000), zero(2_100_100, 1_000_000)},
	} {
		src := newDisk(5*mib, holes...)
		dst := &buffer{make([]byte, 10*mib)}
		r, err := luksimg.Encrypt(context.Background(), dst, src, key, luksimg.EncryptOptions{LUKS: luks.Options{Version: 1, KDF: cheap}})
		if err != nil {
			t.Fatal(err)
		}
		check(t, dst.b[:r.FileSize], src)
		var stream bytes.Buffer
		if _, err := luksimg.EncryptInOrder(context.Background(), &stream, src, key, luksimg.EncryptOptions{LUKS: luks.Options{Version: 1, KDF: cheap}}); err != nil {
			t.Fatal(err)
		}
		check(t, stream.Bytes(), src)
	}
}

// TestSparseOutput checks that Decrypt does not write zeros.
func TestSparseOutput(t *testing.T) {
	src := newDisk(1<<20, hole(128<<10, 700<<10))
	w := &counter{}
	if _, err := luksimg.Decrypt(context.Background(), w, bytes.NewReader(src.b), luksimg.DecryptOptions{}); err != nil {
		t.Fatal(err)
	}
	// Only whole aligned runs of zeros are left out.
	if n := w.n.Load(); n < 324<<10 || n > 324<<10+2*64<<10 {
		t.Errorf("%d bytes written, %d are not zero", n, 324<<10)
	}
}

type counter struct{ n atomic.Int64 }

func (c *counter) WriteAt(p []byte, _ int64) (int, error) { c.n.Add(int64(len(p))); return len(p), nil }

func TestVerifyMismatch(t *testing.T) {
	ctx := context.Background()
	src := newDisk(3 << 20)
	for _, off := range []int{0, 1, 512, 256<<10 - 1, 256 << 10, 2_000_000, 3<<20 - 1} {
		other := newDisk(3 << 20)
		other.b[off] ^= 1
		other.b[3<<20-1] ^= 0x80 // later differences do not matter
		err := luksimg.Verify(ctx, src, other, luksimg.VerifyOptions{RunOptions: luksimg.RunOptions{Jobs: 4}})
		m := new(luksimg.MismatchError)
		if !errors.As(err, &m) || m.Offset != int64(off) || !errors.Is(err, luksimg.ErrMismatch) {
			t.Errorf("difference at %d: %v", off, err)
		}
	}
	longer := newDisk(3 << 20)
	longer.b = append(longer.b, make([]byte, 1000)...)
	if err := luksimg.Verify(ctx, src, longer, luksimg.VerifyOptions{}); err != nil {
		t.Errorf("zeros past the end: %v", err)
	}
	longer.b[len(longer.b)-1] = 1
	if err := luksimg.Verify(ctx, src, longer, luksimg.VerifyOptions{}); !errors.Is(err, luksimg.ErrMismatch) {
		t.Errorf("more than zeros past the end: %v", err)
	}
	if err := luksimg.Verify(ctx, src, newDisk(1<<20), luksimg.VerifyOptions{}); !errors.Is(err, luksimg.ErrMismatch) {
		t.Errorf("shorter: %v", err)
	}
}

// broken fails to read, or to write, past an offset.
type broken struct {
	size, at int64
}

var errBroken = errors.New("broken")

func (b broken) Size() int64 { return b.size }

func (b broken) ReadAt(p []byte, off int64) (int, error) {
	if off+int64(len(p)) > b.at {
		return 0, errBroken
	}
	clear(p)
	return len(p), nil
}

func (b broken) WriteAt(p []byte, off int64) (int, error) { return b.ReadAt(p, off) }

// full refuses all writes.
type full struct{}

func (full) Write([]byte) (int, error) { return 0, errBroken }

func TestErrors(t *testing.T) {
	ctx := context.Background()
	o := luksimg.EncryptOptions{LUKS: luks.Options{Version: 1, KDF: cheap}}
	dst := &buffer{make([]byte, 10<<20)}
	if _, err := luksimg.Encrypt(ctx, dst, broken{4 << 20, 3 << 20}, key, o); !errors.Is(err, errBroken) {
		t.Errorf("broken source: %v", err)
	}
	if luks.Detect(bytes.NewReader(dst.b), int64(len(dst.b))) {
		t.Error("a failed job left a LUKS image")
	}
	if _, err := luksimg.EncryptInOrder(ctx, io.Discard, broken{4 << 20, 3 << 20}, key, o); !errors.Is(err, errBroken) {
		t.Errorf("broken source, in order: %v", err)
	}
	if _, err := luksimg.EncryptInOrder(ctx, full{}, newDisk(4<<20), key, o); !errors.Is(err, errBroken) {
		t.Errorf("broken stream: %v", err)
	}
	if _, err := luksimg.Encrypt(ctx, broken{0, 3 << 20}, newDisk(4<<20), key, o); !errors.Is(err, errBroken) {
		t.Errorf("broken destination: %v", err)
	}
	// A source that ends early is an error; the missing bytes are not zeros.
	short := image.Source(shortened{newDisk(1 << 20)})
	if _, err := luksimg.Encrypt(ctx, dst, short, key, o); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("source that ends early: %v", err)
	}
	cancelled, cancel := context.WithCancel(ctx)
	cancel()
	if _, err := luksimg.Encrypt(cancelled, dst, newDisk(4<<20), key, o); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	stop, cancel := context.WithCancel(ctx)
	o.Progress = func(int64) { cancel() }
	if _, err := luksimg.Encrypt(stop, dst, newDisk(4<<20), key, o); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled on the way: %v", err)
	}
	if _, err := luksimg.EncryptInOrder(stop, io.Discard, newDisk(4<<20), key, o); !errors.Is(err, context.Canceled) {
		t.Errorf("in order, cancelled: %v", err)
	}
	if _, err := luksimg.Decrypt(cancelled, dst, newDisk(4<<20), luksimg.DecryptOptions{}); !errors.Is(err, context.Canceled) {
		t.Errorf("decrypt, cancelled: %v", err)
	}
	if _, err := luksimg.DecryptInOrder(cancelled, io.Discard, newDisk(4<<20), luksimg.DecryptOptions{}); !errors.Is(err, context.Canceled) {
		t.Errorf("decrypt a stream, cancelled: %v", err)
	}
}

type shortened struct{ *disk }

func (s shortened) Size() int64 { return s.disk.Size() + 1 }

func TestClassicKey(t *testing.T) {
	text := func(n int) string { return strings.Repeat("A", n) }
	for _, c := range []struct {
		key, complaint string
	}{
		{text(32), ""},
		{text(512), ""},
		{string(key), ""},
		{text(31), "31 characters"},
		{text(513), "513 characters"},
		{"", "0 characters"},
		{text(32) + "\n", "newline"},
		{text(16) + "\n" + text(16), "line break after 16"},
		{text(32) + "\r", "line break"},
		{text(33), "base64"},
		{text(31) + "!", "base64"},
		{text(31) + "\x00", "base64"},
		{string(bytes.Repeat([]byte{0xff}, 32)), "base64"},
	} {
		err := luksimg.ClassicLUKS.CheckKey([]byte(c.key))
		switch {
		case c.complaint == "" && err != nil:
			t.Errorf("%q: %v", c.key, err)
		case c.complaint != "" && (!errors.Is(err, luksimg.ErrKey) || !strings.Contains(err.Error(), c.complaint)):
			t.Errorf("%q: %v, want %s", c.key, err, c.complaint)
		}
	}
	if err := luksimg.Profile("").CheckKey([]byte("x\n")); err != nil {
		t.Errorf("no profile: %v", err)
	}
}

func TestProfileConflicts(t *testing.T) {
	for _, o := range []luksimg.EncryptOptions{
		{Profile: "no-such"},
		{Profile: luksimg.ClassicLUKS, LUKS: luks.Options{Version: 2}},
		{Profile: luksimg.ClassicLUKS, LUKS: luks.Options{Hash: "sha512"}},
		{Profile: luksimg.ClassicLUKS, LUKS: luks.Options{SectorSize: 4096}},
		{Profile: luksimg.ClassicLUKS, LUKS: luks.Options{DataOffset: 4 << 20}},
	} {
		if _, err := luksimg.Encrypt(context.Background(), &buffer{}, newDisk(0), key, o); err == nil {
			t.Errorf("%+v was accepted", o)
		}
	}
}

func TestOpenImage(t *testing.T) {
	enc := encrypted(t)
	for _, o := range []luksimg.ImageOptions{{}, {Format: luksimg.LUKS2}} {
		if _, err := luksimg.OpenImage(t.Context(), bytes.NewReader(enc), int64(len(enc)), o); !errors.Is(err, luksimg.ErrEncrypted) {
			t.Errorf("LUKS: %v", err)
		}
	}
	img, err := luksimg.OpenImage(t.Context(), bytes.NewReader(enc), int64(len(enc)), luksimg.ImageOptions{Format: luksimg.Raw})
	if err != nil || img.Size() != int64(len(enc)) {
		t.Errorf("LUKS taken as raw: %v", err)
	}
	if _, err := luksimg.OpenImage(t.Context(), bytes.NewReader(enc), int64(len(enc)), luksimg.ImageOptions{Format: "x"}); !errors.Is(err, luksimg.ErrUnsupportedFormat) {
		t.Errorf("unknown format: %v", err)
	}
}

func encrypted(t *testing.T) []byte {
	t.Helper()
	var b bytes.Buffer
	if _, err := luksimg.EncryptStream(context.Background(), &b, bytes.NewReader(newDisk(4096).b), key,
		luksimg.EncryptOptions{LUKS: luks.Options{KDF: cheap, Label: "root"}}); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// TestImageExtents checks that the image reports the holes of its container.
func TestImageExtents(t *testing.T) {
	raw := golden.Read("testdata/qcow/snap.qcow2.gz")
	img, err := luksimg.OpenImage(t.Context(), bytes.NewReader(raw), int64(len(raw)), luksimg.ImageOptions{})
	if err != nil {
		t.Fatal(err)
	}
	data := int64(0)
	for e, err := range image.Extents(img, 0, img.Size()) {
		if err != nil {
			t.Fatal(err)
		}
		if e.Kind == image.Data {
			data += e.Length
		}
	}
	if data != 24<<10 {
		t.Errorf("%d bytes of data, want 24 KiB", data)
	}
}

func TestInspect(t *testing.T) {
	b := encrypted(t)
	i, err := luksimg.Inspect(context.Background(), bytes.NewReader(b), int64(len(b)), luksimg.ImageOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if i.Format != luksimg.LUKS2 || !i.Encrypted || i.VirtualSize != 4096 || i.LUKS.Label != "root" || len(i.Warnings) > 0 || len(i.Notes) != 2 {
		t.Errorf("%+v", i)
	}
	i, err = luksimg.Inspect(context.Background(), bytes.NewReader(b[:16<<20]), 16<<20, luksimg.ImageOptions{})
	if err != nil || len(i.Warnings) != 1 {
		t.Errorf("cut off: %+v, %v", i, err)
	}
	raw := newDisk(1<<20, hole(1000, 500_000))
	i, err = luksimg.Inspect(context.Background(), raw, raw.Size(), luksimg.ImageOptions{})
	if err != nil || i.Format != luksimg.Raw || i.Encrypted || i.DataSize != 1<<20-500_000 || i.PartitionTable != luksimg.NoLabel {
		t.Errorf("raw: %+v, %v", i, err)
	}
}

// TestVHD encrypts a VHD that qemu-img made. The output must equal that for the raw disk.
func TestVHD(t *testing.T) {
	files, err := filepath.Glob("testdata/vhd/*.vhd.gz")
	if err != nil || len(files) == 0 {
		t.Fatal("no golden VHD:", err)
	}
	for _, name := range files {
		b := golden.Read(name)
		img, err := luksimg.OpenImage(t.Context(), bytes.NewReader(b), int64(len(b)), luksimg.ImageOptions{})
		if err != nil || img.Format != luksimg.VHD {
			t.Fatalf("%s: %v, %v", name, img, err)
		}
		o := luksimg.EncryptOptions{Profile: luksimg.ClassicLUKS, LUKS: luks.Options{UUID: "f81d4fae-7dec-11d0-a765-00a0c91e6bf6"}}
		o.LUKS.VolumeKey = bytes.Repeat([]byte{1, 2}, 32)
		sum := func(src image.Source) [32]byte {
			o.LUKS.Rand = mathrand.NewChaCha8([32]byte{})
			dst := &buffer{make([]byte, src.Size()+6<<20)}
			if _, err := luksimg.Encrypt(context.Background(), dst, src, key, o); err != nil {
				t.Fatal(err)
			}
			return sha256.Sum256(dst.b)
		}
		raw := make([]byte, img.Size())
		if _, err := img.ReadAt(raw, 0); err != nil && err != io.EOF {
			t.Fatal(err)
		}
		if sum(img) != sum(bytes.NewReader(raw)) {
			t.Errorf("%s: the output differs from that for the raw disk", name)
		}
	}
}

func TestCalibrate(t *testing.T) {
	k, err := luksimg.EncryptOptions{Profile: luksimg.ClassicLUKS}.Calibrate(t.Context(), 1)
	if err != nil || k.Type != luks.PBKDF2 || k.Iterations != 1000 {
		t.Errorf("%+v, %v", k, err)
	}
	if _, err := (luksimg.EncryptOptions{Profile: "x"}).Calibrate(t.Context(), 1); err == nil {
		t.Error("an unknown profile was accepted")
	}
}
