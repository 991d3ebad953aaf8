package lzma

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/luksimg/luksimg/internal/need"
)

// paths runs f with the assembly, if available, and without it.
func paths(f func(path string)) {
	f("default")
	if useAssembly {
		useAssembly = false
		defer func() { useAssembly = true }()
		f("generic")
	}
}

// raw makes LZMA2 data without a container, using xz.
func raw(t testing.TB, text []byte, options string) []byte {
	t.Helper()
	need.Program(t, "xz")
	c := exec.Command("xz", "-zc", "--format=raw", "--lzma2="+options)
	c.Stdin = bytes.NewReader(text)
	out, err := c.Output()
	if err != nil {
		t.Fatalf("xz: %v", err)
	}
	return out
}

// texts returns texts with literals, with matches of all lengths and distances, and incompressible
// ones.
func texts() [][]byte {
	rnd := rand.New(rand.NewPCG(3, 4))
	random := make([]byte, 70_000)
	for i := range random {
		random[i] = byte(rnd.Uint32())
	}
	var lines bytes.Buffer
	for i := range 10_000 {
		fmt.Fprintf(&lines, "line %d of %x\n", i, rnd.Uint32()>>rnd.UintN(32))
	}
	// Matches at each small distance, with lengths up to the maximum.
	var short []byte
	for d := 1; d < 70; d++ {
		for _, n := range []int{2, 3, 9, 10, 17, 18, 40, 272, 273, 274, 600} {
			short = append(short, random[100*d:][:d]...)
			for range n {
				short = append(short, short[len(short)-d])
			}
		}
	}
	far := slices.Concat(lines.Bytes(), random, lines.Bytes()[500:], random[3:])
	return [][]byte{lines.Bytes(), short, far, slices.Concat(random, make([]byte, 3<<20), short), {1}}
}

// all reads all output of d.
func all(d *Decoder) (out []byte, err error) {
	for {
		chunk, err := d.Next()
		if err == io.EOF {
			return out, nil
		}
		if err != nil {
			return out, err
		}
		out = append(out, chunk...)
	}
}

func TestDecode(t *testing.T) {
	d := new(Decoder)
	for i, text := range texts() {
		for _, options := range []string{"preset=0", "preset=6", "preset=9e", "preset=6,dict=4096", "preset=6,lc=0,lp=4,pb=0", "preset=6,lc=4,lp=0,pb=4", "preset=6,lc=1,lp=2,pb=1"} {
			z := raw(t, text, options)
			paths(func(path string) {
				dst := make([]byte, len(text))
				d.Fill(bytes.NewReader(z), 8<<20, dst)
				if _, err := all(d); err != nil || !bytes.Equal(dst, text) {
					t.Fatalf("text %d, %s, %s: %v", i, options, path, err)
				}
				if d.Packed() != int64(len(z)) {
					t.Errorf("read %d of %d bytes", d.Packed(), len(z))
				}
				for _, size := range []int64{-1, int64(len(text))} {
					dict := uint32(len(text) + 1)
					if strings.Contains(options, "dict") {
						dict = 4096
					}
					d.Slide(bytes.NewReader(z), dict, make([]byte, WindowSize(dict, size)))
					if got, err := all(d); err != nil || !bytes.Equal(got, text) {
						t.Fatalf("text %d, %s, %s, size %d: %d of %d bytes, %v", i, options, path, size, len(got), len(text), err)
					}
				}
			})
		}
	}
}

// TestPair decodes each text together with each other one.
func TestPair(t *testing.T) {
	p := new(Pair)
	all := texts()
	var packed [][]byte
	for _, text := range all {
		packed = append(packed, raw(t, text, "preset=3,lc=2,lp=1,dict=65536"))
	}
	paths(func(path string) {
		for a := range all {
			for b := range all {
				n := [2]int{a, b}
				var got [2][]byte
				var ended [2]bool
				for i := range p {
					p[i].Slide(bytes.NewReader(packed[n[i]]), 65536, make([]byte, WindowSize(65536, -1)))
				}
				for {
					i, chunk, err := p.Next()
					if i < 0 {
						break
					}
					if err != nil {
						if err != io.EOF || ended[i] {
							t.Fatalf("%d beside %d, %s: %v", a, b, path, err)
						}
						ended[i] = true
					}
					got[i] = append(got[i], chunk...)
				}
				for i := range p {
					if !ended[i] || !bytes.Equal(got[i], all[n[i]]) {
						t.Fatalf("%d beside %d, %s: %d and %d bytes", a, b, path, len(got[0]), len(got[1]))
					}
				}
			}
		}
	})
}

// TestBehind checks that bytes behind the destination do not change.
func TestBehind(t *testing.T) {
	for _, text := range texts()[:2] {
		text = text[:5000]
		z := raw(t, text, "preset=6")
		dst := bytes.Repeat([]byte{0xa5}, len(text)+1000)
		d := new(Decoder)
		d.Fill(bytes.NewReader(z), 1<<20, dst[:len(text):len(text)])
		if _, err := all(d); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(dst[len(text):], bytes.Repeat([]byte{0xa5}, 1000)) {
			t.Error("the decoder wrote behind the end")
		}
		d.Fill(bytes.NewReader(z), 1<<20, dst[:len(text)-1])
		if _, err := all(d); !errors.Is(err, ErrCorrupt) {
			t.Errorf("destination too short: %v", err)
		}
	}
}

// TestMalformed flips each bit of a stream and truncates it at each byte. The assembly and the Go code
// must agree.
func TestMalformed(t *testing.T) {
	for _, text := range [][]byte{texts()[0][:700], texts()[1][:3000]} {
		z := raw(t, text, "preset=6e")
		for i := range 8 * len(z) {
			z[i/8] ^= 1 << (i % 8)
			compare(t, z)
			z[i/8] ^= 1 << (i % 8)
		}
		for i := range z {
			if err := compare(t, z[:i]); err != io.ErrUnexpectedEOF {
				t.Errorf("%d of %d bytes: %v", i, len(z), err)
			}
		}
	}
}

func TestSourceError(t *testing.T) {
	mine := errors.New("mine")
	d := new(Decoder)
	z := raw(t, texts()[0], "preset=0")
	d.Slide(bufio.NewReader(io.MultiReader(bytes.NewReader(z[:1000]), failing{mine})), 1<<20, make([]byte, WindowSize(1<<20, -1)))
	if _, err := all(d); err != mine {
		t.Error(err)
	}
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

var (
	fuzzed    [3]Decoder
	fuzzedTwo Pair
)

// compare decodes z in each way, compares the results, and returns the error.
func compare(t *testing.T, z []byte) error {
	t.Helper()
	const dict = 5000
	window := func() []byte { return make([]byte, WindowSize(dict, 1<<16)) }
	d := &fuzzed[0]
	d.Slide(bytes.NewReader(z), dict, window())
	want, first := all(d)
	say := func(way string, got []byte, err error) {
		t.Helper()
		if !bytes.Equal(got, want) || fmt.Sprint(err) != fmt.Sprint(first) {
			t.Fatalf("%s: %d bytes, %v; default: %d, %v\n%x", way, len(got), err, len(want), first, z)
		}
	}
	// In a pair, one of the two starts at another position.
	p := &fuzzedTwo
	p[0].Slide(bytes.NewReader(z), dict, window())
	p[1].Slide(bytes.NewReader(z), dict, window())
	var got [2][]byte
	var errs [2]error
	for {
		i, chunk, err := p.Next()
		if i < 0 {
			break
		}
		got[i] = append(got[i], chunk...)
		if err != io.EOF && err != nil {
			errs[i] = err
		}
	}
	say("first of two", got[0], errs[0])
	say("second of two", got[1], errs[1])
	if useAssembly {
		useAssembly = false
		d := &fuzzed[1]
		d.Slide(bytes.NewReader(z), dict, window())
		got, err := all(d)
		useAssembly = true
		say("generic", got, err)
	}
	return first
}

// FuzzDecode checks that the assembly, alone and in turns, and the Go code agree.
func FuzzDecode(f *testing.F) {
	if _, err := exec.LookPath("xz"); err == nil {
		for _, text := range texts() {
			for _, options := range []string{"preset=6e", "preset=0,lc=0,lp=2,pb=0", "preset=6,dict=4096"} {
				f.Add(raw(f, text[:min(len(text), 6000)], options))
			}
		}
	}
	f.Add([]byte("\x01\x00\x02abc\xe0\x00\x02\x00\x05\x5d\x00bcdef\x00"))
	f.Fuzz(func(t *testing.T, z []byte) { compare(t, z) })
}
