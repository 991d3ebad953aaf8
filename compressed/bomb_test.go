package compressed

import (
	"bytes"
	"compress/flate"
	"context"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
	"runtime"
	"runtime/metrics"
	"testing"
	"time"

	klauspost "github.com/klauspost/compress/zstd"

	"github.com/luksimg/luksimg/internal/need"
	"github.com/luksimg/luksimg/internal/zstd"
)

// A bomb is a file that was made to be expensive to read.
type bomb struct {
	name string
	file func() []byte
	want error
}

// zstdZeros returns a frame of n blocks of 128 KiB of zeros. Its header has the given size, unless that
// is negative, and a window of 2^log bytes.
func zstdZeros(n int, size int64, log byte) []byte {
	b := binary.LittleEndian.AppendUint32(nil, zstd.Magic)
	if size < 0 {
		b = append(b, 0, (log-10)<<3)
	} else {
		b = append(b, 3<<6, (log-10)<<3)
		b = binary.LittleEndian.AppendUint64(b, uint64(size))
	}
	for i := range n {
		v := uint32(zstd.MaxBlock)<<3 | 1<<1
		if i == n-1 {
			v |= 1
		}
		b = append(b, byte(v), byte(v>>8), byte(v>>16), 0)
	}
	return b
}

// gzipMember returns a member with the deflate stream z and the given trailer.
func gzipMember(z []byte, crc, size uint32) []byte {
	b := append([]byte{0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3}, z...)
	b = binary.LittleEndian.AppendUint32(b, crc)
	return binary.LittleEndian.AppendUint32(b, size)
}

func deflated(t testing.TB, b []byte) []byte {
	var out bytes.Buffer
	w, err := flate.NewWriter(&out, 9)
	if err != nil {
		t.Fatal(err)
	}
	w.Write(b)
	w.Close()
	return out.Bytes()
}

func repeat(b []byte, n int) []byte { return bytes.Repeat(b, n) }

func concat(parts ...[]byte) []byte { return bytes.Join(parts, nil) }

// skippableFrame returns a skippable zstd frame of n bytes.
func skippableFrame(n int) []byte {
	b := binary.LittleEndian.AppendUint32(nil, 0x184d2a50)
	b = binary.LittleEndian.AppendUint32(b, uint32(n))
	return append(b, make([]byte, n)...)
}

// bombs returns all bombs.
func bombs(t testing.TB) []bomb {
	t.Helper()
	zeros := make([]byte, 1<<20)
	xzOf := func(b []byte, args ...string) []byte {
		return []byte(need.Input(t, "", string(b), "xz", append([]string{"-c", "-T1"}, args...)...))
	}
	bz := []byte(need.Input(t, "", string(make([]byte, 45<<20)), "bzip2", "-9c"))
	x := xzOf(zeros, "-0")
	xEmpty := xzOf(nil, "-0")
	empty := gzipMember(deflated(t, nil), 0, 0)
	one := gzipMember(deflated(t, zeros), crc32.ChecksumIEEE(zeros), 1<<20)
	lie := bytes.Clone(x)
	lie[len(lie)-16] ^= 0x40 // a byte of the index
	text := zstdZeros(2, 2*zstd.MaxBlock, 17)
	none := zstdZeros(1, 0, 17)[:14] // an empty frame
	none = append(none, 1, 0, 0)
	w, err := klauspost.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	good := w.EncodeAll(zeros, nil)
	stored := func(n uint16) []byte { return []byte{0, byte(n), byte(n >> 8), byte(^n), byte(^n >> 8)} }
	return []bomb{
		{"zstd: 16 GiB of zeros, no length", func() []byte { return zstdZeros(1<<17, -1, 20) }, ErrTooLarge},
		{"zstd: 16 GiB of zeros", func() []byte { return zstdZeros(1<<17, 16<<30, 20) }, ErrTooLarge},
		{"zstd: says 2^60 bytes", func() []byte { return zstdZeros(2, 1<<60, 20) }, ErrTooLarge},
		{"zstd: a window of 2 GiB", func() []byte { return zstdZeros(2, -1, 31) }, ErrWindow},
		{"zstd: a window of 1 TiB, and its length", func() []byte { return zstdZeros(2, 1<<18, 40) }, ErrWindow},
		{"zstd: frames of 64 MiB", func() []byte { return repeat(zstdZeros(512, 64<<20, 20), 40) }, ErrTooLarge},
		{"zstd: many frames that say they are long", func() []byte { return repeat(zstdZeros(1, 1<<40, 20), 100) }, ErrTooLarge},
		{"zstd: a frame that gives less than it says", func() []byte { return zstdZeros(2, 1<<20, 17) }, ErrCorrupt},
		{"zstd: a frame that gives more than it says", func() []byte { return zstdZeros(20, 1<<20, 17) }, ErrCorrupt},
		{"zstd: empty frames", func() []byte { return append(repeat(none, 1<<17), good...) }, ErrCorrupt},
		{"zstd: skippable frames", func() []byte { return append(repeat(skippableFrame(0), 1<<18), good...) }, ErrUnsupported},
		{"zstd: skippable frames behind", func() []byte { return concat(good, repeat(skippableFrame(0), 1<<18)) }, ErrCorrupt},
		{"zstd: a skippable frame past the end", func() []byte { return concat(good, skippableFrame(8)[:10]) }, ErrCorrupt},
		{"zstd: a block past the end", func() []byte { return text[:len(text)-5] }, ErrCorrupt},
		{"zstd: a dictionary", func() []byte { return append(binary.LittleEndian.AppendUint32(nil, zstd.Magic), 0x21, 1, 5, 1, 0, 0) }, ErrUnsupported},
		{"gzip: empty members", func() []byte { return append(repeat(empty, 1<<18), one...) }, ErrCorrupt},
		{"gzip: no end of the stream", func() []byte { return one[:len(one)/2] }, ErrCorrupt},
		{"gzip: empty blocks", func() []byte { return gzipMember(append(repeat(stored(0), 1<<20), deflated(t, nil)...), 1, 1) }, ErrCorrupt},
		{"gzip: a name without an end", func() []byte {
			return append([]byte{0x1f, 0x8b, 8, flagName, 0, 0, 0, 0, 0, 3}, repeat([]byte{'a'}, 10<<20)...)
		}, ErrCorrupt},
		{"gzip: zeros, and then something", func() []byte { return concat(one, make([]byte, 50<<20), []byte{1}) }, ErrCorrupt},
		{"gzip: a wrong length", func() []byte { return gzipMember(deflated(t, zeros), crc32.ChecksumIEEE(zeros), 5) }, ErrCorrupt},
		{"gzip: a wrong checksum", func() []byte { return gzipMember(deflated(t, zeros), 5, 1<<20) }, ErrCorrupt},
		{"gzip: something behind it", func() []byte { return append(bytes.Clone(one), "PK\x03\x04"...) }, ErrCorrupt},
		{"bzip2: 3 GiB of zeros", func() []byte { return repeat(bz, 66) }, ErrTooLarge},
		{"bzip2: something behind it", func() []byte { return append(bytes.Clone(bz), "PK\x03\x04"...) }, ErrCorrupt},
		{"xz: 2 GiB of zeros in streams", func() []byte { return repeat(x, 2048) }, ErrTooLarge},
		{"xz: empty streams", func() []byte { return append(repeat(xEmpty, 1<<19), x...) }, ErrWindow},
		{"xz: a dictionary of 1.5 GiB", func() []byte { return xzOf(zeros[:100], "--lzma2=dict=1536MiB") }, nil}, // the dictionary is cut to the length of the content
		{"xz: an index that lies", func() []byte { return lie }, ErrCorrupt},
		{"xz: something behind it", func() []byte { return append(bytes.Clone(x), "PK\x03\x04"...) }, ErrCorrupt},
		{"xz: no index", func() []byte { return x[:len(x)-40] }, ErrCorrupt},
	}
}

const bombMemory = 64 << 20

// TestBombs checks that each bomb is refused early and in little memory, by index and as a stream.
func TestBombs(t *testing.T) {
	need.Program(t, "xz", "bzip2")
	for _, b := range bombs(t) {
		file := b.file()
		peak := watch(func() {
			f, err := Open(t.Context(), bytes.NewReader(file), int64(len(file)), Options{})
			if err == nil {
				err = drain(t.Context(), f)
			}
			if !errors.Is(err, b.want) {
				t.Errorf("%s: %v, want %v", b.name, err, b.want)
			}
		})
		if peak > bombMemory {
			t.Errorf("%s: %d bytes of memory", b.name, peak)
		}
		k, err := Detect(bytes.NewReader(file), int64(len(file)))
		if err != nil || k == "" || b.want == nil || errors.Is(b.want, ErrUnsupported) {
			continue
		}
		peak = watch(func() {
			r, err := NewReader(t.Context(), bytes.NewReader(file), k, -1, Options{})
			if err == nil {
				_, err = io.Copy(io.Discard, r)
				r.Close()
			}
			// Only the index reveals some of them.
			if err == nil && !bytes.Contains([]byte(b.name), []byte("xz: ")) && !bytes.Contains([]byte(b.name), []byte("frames")) {
				t.Errorf("%s: the stream was read without an error", b.name)
			}
		})
		if peak > bombMemory {
			t.Errorf("%s, as a stream: %d bytes of memory", b.name, peak)
		}
	}
}

// drain reads a whole file.
func drain(ctx context.Context, f *File) error {
	defer f.Close()
	if f.Size() < 0 {
		_, err := f.Count(ctx)
		return err
	}
	src, err := f.Source()
	if err != nil {
		return err
	}
	if c, ok := src.(io.Closer); ok {
		defer c.Close()
	}
	_, err = io.Copy(io.Discard, io.NewSectionReader(src, 0, src.Size()))
	return err
}

// watch returns the growth of the live heap while f runs. It collects garbage before each sample: how much
// garbage there is depends on when the collector gets a processor, and not on f.
func watch(f func()) uint64 {
	before := live()
	var peak uint64
	done, over := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(over)
		for {
			peak = max(peak, live())
			select {
			case <-done:
				return
			case <-time.After(5 * time.Millisecond):
			}
		}
	}()
	f()
	close(done)
	<-over
	return peak - min(before, peak)
}

// live collects garbage and returns the size of the objects that are left, in bytes.
func live() uint64 {
	runtime.GC()
	s := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(s)
	return s[0].Value.Uint64()
}
