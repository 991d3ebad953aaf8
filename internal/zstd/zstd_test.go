package zstd

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os/exec"
	"strings"
	"sync"
	"testing"

	"github.com/klauspost/compress/zstd"

	"github.com/luksimg/luksimg/internal/need"
)

// texts returns inputs that compress well, badly and not at all, with near and far matches.
var texts = sync.OnceValue(func() map[string][]byte {
	rnd := rand.New(rand.NewPCG(1, 2))
	random := make([]byte, 300_000)
	for i := range random {
		random[i] = byte(rnd.Uint32())
	}
	skewed := make([]byte, 200_000)
	for i := range skewed {
		skewed[i] = byte(rnd.ExpFloat64() * 9)
	}
	var lines bytes.Buffer
	for i := range 20_000 {
		fmt.Fprintf(&lines, "line %d of %x\n", i, rnd.Uint32()>>rnd.UintN(32))
	}
	var periods []byte
	for p := 1; p < 40; p++ {
		for range 8 {
			n := 3 + rnd.IntN(90)
			periods = append(append(periods, bytes.Repeat(random[p:2*p], n/p+1)[:n]...), random[n:n+rnd.IntN(20)]...)
		}
	}
	far := append(bytes.Clone(lines.Bytes()), random...)
	far = append(append(far, make([]byte, 3<<20)...), lines.Bytes()[1000:]...)
	return map[string][]byte{
		"empty": {}, "one": {7}, "zeros": make([]byte, 3<<20), "random": random, "skewed": skewed, "lines": lines.Bytes(), "far": far,
		"short": []byte("a disk, more or less"), "periods": periods, "mixed": append(append([]byte{}, random[:70000]...), skewed[:70000]...),
	}
})

// compress runs the program zstd.
func compress(t testing.TB, text []byte, args ...string) []byte {
	t.Helper()
	out, err := program(t, text, append([]string{"-qc"}, args...)...)
	if err != nil {
		t.Fatalf("zstd %s: %v", strings.Join(args, " "), err)
	}
	return out
}

// program runs the program zstd and returns its output and error.
func program(t testing.TB, stdin []byte, args ...string) ([]byte, error) {
	t.Helper()
	need.Program(t, "zstd")
	c := exec.Command("zstd", args...)
	c.Stdin = bytes.NewReader(stdin)
	return c.Output()
}

// alloc, if not nil, allocates the buffers of the readers in decode.
var alloc func(n int) []byte

// paths runs f with the assembly, if available, and without it.
func paths(f func(path string)) {
	defer func(was bool) { useAssembly = was }(useAssembly)
	if useAssembly {
		f("assembly")
		useAssembly = false
	}
	f("portable")
}

const testWindow = 128 << 20

// decode decodes all of z.
func decode(z []byte, ahead bool) ([]byte, error) {
	r := NewReader(bytes.NewReader(z), Options{MaxWindow: testWindow, Ahead: ahead, alloc: alloc})
	defer r.Close()
	return io.ReadAll(r)
}

// reference decodes z with the klauspost package.
func reference(t testing.TB, z []byte) ([]byte, error) {
	t.Helper()
	d, err := zstd.NewReader(bytes.NewReader(z), zstd.WithDecoderMaxWindow(testWindow), zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true))
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	return io.ReadAll(d)
}

// level reports whether the options are only a level.
func level(args []string) bool { return len(args) == 1 && !strings.HasPrefix(args[0], "--") }

// TestProgram decodes the output of the program zstd at all levels.
func TestProgram(t *testing.T) {
	options := [][]string{{"--no-check"}, {"-T0", "-3"}, {"--long", "-5"}, {"--ultra", "-22"}, {"--fast=5"}, {"--stream-size=-"}}
	for level := 1; level <= 19 && !testing.Short(); level++ {
		options = append(options, []string{fmt.Sprint("-", level)})
	}
	for _, args := range options {
		for name, text := range texts() {
			if len(text) > 1<<20 && level(args) {
				continue
			}
			args := args
			if args[0] == "--stream-size=-" {
				args = []string{fmt.Sprint("--stream-size=", len(text))}
			}
			z := compress(t, text, args...)
			paths(func(path string) {
				got, err := decode(z, path == "assembly")
				if err != nil || !bytes.Equal(got, text) {
					t.Errorf("%s, %v, %s: %d bytes of %d, %v", name, args, path, len(got), len(text), err)
				}
			})
		}
	}
}

// TestFrames reads consecutive frames, including skippable ones, and truncates them at each byte.
func TestFrames(t *testing.T) {
	e, err := zstd.NewWriter(nil, zstd.WithWindowSize(64<<10))
	if err != nil {
		t.Fatal(err)
	}
	var z, text []byte
	whole := map[int]int{0: 0} // output size by the end of each frame
	for _, name := range []string{"short", "empty", "lines", "one", "periods"} {
		z = append(z, 0x5f, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 1, 2, 3)
		whole[len(z)] = len(text)
		part := texts()[name]
		z, text = e.EncodeAll(part[:min(len(part), 50_000)], z), append(text, part[:min(len(part), 50_000)]...)
		whole[len(z)] = len(text)
	}
	for n := range len(z) + 1 {
		if n > 500 && n < len(z)-500 && n%17 != 0 {
			continue
		}
		got, err := decode(z[:n], n%2 == 0)
		at, ok := whole[n]
		switch {
		case ok && (err != nil || !bytes.Equal(got, text[:at])):
			t.Errorf("%d bytes: %d bytes, %v", n, len(got), err)
		case !ok && err != io.ErrUnexpectedEOF || !bytes.HasPrefix(text, got):
			t.Errorf("%d bytes, truncated: %d bytes, %v", n, len(got), err)
		}
	}
}

// TestCorrupt changes bytes. The Reader must reject what the program or the reference rejects, and
// otherwise return the same data.
func TestCorrupt(t *testing.T) {
	rnd := rand.New(rand.NewPCG(3, 4))
	taken := 0
	for _, name := range []string{"lines", "skewed", "periods", "short"} {
		text := texts()[name]
		for _, args := range [][]string{{"--no-check", "-3"}, {"--no-check", "-19"}, {"--no-check", "--fast=3"}, {"--no-check", "-1"}} {
			z := compress(t, text[:min(len(text), 3000+rnd.IntN(30_000))], args...)
			for n := range 60 {
				bad := bytes.Clone(z)
				at := rnd.IntN(len(bad))
				if n%2 == 0 {
					at = rnd.IntN(min(len(bad), 150)) // near the tables
				}
				bad[at] ^= 1 << rnd.UintN(8)
				want, judge := reference(t, bad)
				if judge == nil {
					if _, err := program(t, bad, "-dqc"); err != nil {
						judge = err
					}
				}
				paths(func(path string) {
					got, err := decode(bad, n%3 == 0)
					switch {
					case err == nil && judge != nil:
						t.Errorf("%s, %v, %s, byte %d: accepted, but the reference returned %v", name, args, path, at, judge)
					case err == nil && !bytes.Equal(got, want):
						t.Errorf("%s, %v, %s, byte %d: wrong data", name, args, path, at)
					case err != nil && judge == nil:
						t.Errorf("%s, %v, %s, byte %d: %v, but the reference accepts it", name, args, path, at, err)
					case err == nil:
						taken++
					}
				})
			}
		}
	}
	if taken == 0 {
		t.Error("the Reader rejected every change")
	}
}

// frame makes a frame from blocks, with a window of 1 KiB and without a checksum.
func frame(blocks ...[]byte) []byte {
	return append([]byte{0x28, 0xb5, 0x2f, 0xfd, 0, 0}, bytes.Join(blocks, nil)...)
}

// block makes a last block of a type.
func block(kind, size int, content ...byte) []byte {
	v := size<<3 | kind<<1 | 1
	return append([]byte{byte(v), byte(v >> 8), byte(v >> 16)}, content...)
}

func TestRefuse(t *testing.T) {
	for _, test := range []struct {
		name string
		z    []byte
		want error
		text string
	}{
		{"no frame", []byte("not zstd"), ErrCorrupt, "offset 0: no magic number of a frame"},
		{"a reserved bit", []byte{0x28, 0xb5, 0x2f, 0xfd, 8, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}, ErrCorrupt, "offset 4: the reserved bit"},
		{"a dictionary", []byte{0x28, 0xb5, 0x2f, 0xfd, 0x21, 1, 5, 1, 0, 0}, ErrDictionary, "dictionary"},
		{"a window", []byte{0x28, 0xb5, 0x2f, 0xfd, 0, 0xff, 1, 0, 0}, ErrWindow, "more than the limit"},
		{"another type of blocks", frame(block(3, 0)), ErrCorrupt, "offset 6: a block has the reserved type"},
		{"a long block", frame(block(0, 2000, make([]byte, 2000)...)), ErrCorrupt, "offset 6: a block is longer"},
		{"a long block of one byte", frame(block(1, 1025, 7)), ErrCorrupt, "a block is longer"},
		{"an empty block", frame(block(2, 0)), ErrCorrupt, "ends too early"},
		{"literals alone", frame(block(2, 2, 0, 0)), nil, ""},
		{"data after no sequences", frame(block(2, 3, 0, 0, 0)), ErrCorrupt, "data after its end"},
		{"too many literals", frame(block(2, 5, 1|1<<2|1025&15<<4, 1025>>4, 7, 0, 0)), ErrCorrupt, "more literals than the maximum"},
		{"no table for literals", frame(block(2, 5, 3|10<<4, 0, 0, 0, 0)), ErrCorrupt, "reuses a Huffman table"},
		{"no table for sequences", frame(block(2, 6, 8, 'a', 1, 0xfc, 1, 1)), ErrCorrupt, "the frame has none"},
		{"reserved bits of sequences", frame(block(2, 6, 8, 'a', 1, 1, 1, 1)), ErrCorrupt, "reserved bits"},
		{"many sequences", frame(block(2, 6, 8, 'a', 0xff, 0xff, 0xff, 0)), ErrCorrupt, "more sequences"},
		{"no sequences, in two bytes", frame(block(2, 5, 8, 'a', 128, 0, 0)), ErrCorrupt, "no sequences"},
		{"a match without output", frame(block(2, 7, 0, 1, 0x54, 0, 0, 0, 1)), ErrCorrupt, "before the window"},
		{"an invalid symbol", frame(block(2, 7, 0, 1, 0x54, 36, 0, 0, 1)), ErrCorrupt, "of literal lengths"},
		{"bits without an end marker", frame(block(2, 7, 8, 'a', 1, 0x54, 1, 0, 0)), ErrCorrupt, "no end"},
		{"content too short", []byte{0x28, 0xb5, 0x2f, 0xfd, 0x20, 5, 1, 0, 0}, ErrCorrupt, "content is shorter"},
		{"content too long", append([]byte{0x28, 0xb5, 0x2f, 0xfd, 0x40, 0, 0, 0}, block(1, 300, 7)...), ErrCorrupt, "content is longer"},
		{"a checksum", append([]byte{0x28, 0xb5, 0x2f, 0xfd, 4, 0}, append(block(1, 3, 7), 1, 2, 3, 4)...), ErrCorrupt, "checksum"},
	} {
		paths(func(path string) {
			_, err := decode(test.z, false)
			if !errors.Is(err, test.want) || err != nil && !strings.Contains(err.Error(), test.text) {
				t.Errorf("%s, %s: %v", test.name, path, err)
			}
		})
		if _, err := reference(t, test.z); err == nil && test.want != nil {
			t.Errorf("%s: the reference accepts it", test.name)
		}
	}
}

// TestHash compares checksums with those of the program, for all lengths.
func TestHash(t *testing.T) {
	text := texts()["random"]
	for n := range 100 {
		z := compress(t, text[:n], "--check")
		want := binary.LittleEndian.Uint32(z[len(z)-sumLen:])
		paths(func(path string) {
			for _, step := range []int{7, 100} {
				var x xxh64
				x.reset()
				for k := 0; k < n; k += step {
					x.write(text[k:min(k+step, n)])
				}
				if sum := uint32(x.digest()); sum != want {
					t.Errorf("%d bytes, %s: %x, not %x", n, path, sum, want)
				}
			}
		})
	}
}

// FuzzReader compares with the reference.
func FuzzReader(f *testing.F) {
	for _, text := range texts() {
		for _, args := range [][]string{{"-1"}, {"-19", "--no-check"}} {
			if _, err := need.Path("zstd"); err == nil {
				f.Add(compress(f, text[:min(len(text), 2000)], args...))
			}
		}
	}
	f.Add(frame(block(2, 7, 0, 1, 0x54, 0, 0, 0, 1)))
	f.Fuzz(func(t *testing.T, z []byte) {
		const most = 8 << 20
		d, err := zstd.NewReader(bytes.NewReader(z), zstd.WithDecoderMaxWindow(most), zstd.WithDecoderConcurrency(1))
		if err != nil {
			t.Fatal(err)
		}
		defer d.Close()
		want, judge := io.ReadAll(io.LimitReader(d, most))
		if len(want) == most {
			return
		}
		paths(func(path string) {
			r := NewReader(bytes.NewReader(z), Options{MaxWindow: most})
			defer r.Close()
			got, err := io.ReadAll(io.LimitReader(r, most))
			if (err == nil) != (judge == nil) && !errors.Is(err, ErrDictionary) {
				t.Fatalf("%s: %v, reference: %v", path, err, judge)
			}
			if err == nil && !bytes.Equal(got, want) {
				t.Fatalf("%s: %d bytes, reference %d", path, len(got), len(want))
			}
		})
	})
}
