package inflate

import (
	"bytes"
	"compress/flate"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
)

// texts returns inputs that compress well, badly and not at all.
func texts() map[string][]byte {
	rnd := rand.New(rand.NewPCG(1, 2))
	random := make([]byte, 100_000)
	for i := range random {
		random[i] = byte(rnd.Uint32())
	}
	few := make([]byte, 300_000)
	for i := range few {
		few[i] = "abcdefghij klmno\n"[min(rnd.IntN(17), rnd.IntN(17))]
	}
	skewed := make([]byte, 200_000)
	for i := range skewed {
		skewed[i] = byte(rnd.ExpFloat64() * 9)
	}
	half := bytes.Clone(random[:1<<16])
	for i := 0; i < len(half); i += 64 {
		copy(half[i+32:], "the quick brown fox jumps over a")
	}
	var lines bytes.Buffer
	for i := range 20_000 {
		fmt.Fprintf(&lines, "line %d of %x\n", i, rnd.Uint32()>>rnd.UintN(32))
	}
	return map[string][]byte{
		"empty": {}, "one": {7}, "zeros": make([]byte, 1<<20), "random": random, "few": few, "skewed": skewed,
		"lines": lines.Bytes(), "half": half, "period": bytes.Repeat([]byte("0123456789abc"), 5000), "mixed": append(append([]byte{}, random[:5000]...), few[:70000]...),
	}
}

func deflate(t testing.TB, b []byte, level int) []byte {
	var z bytes.Buffer
	w, err := flate.NewWriter(&z, level)
	if err != nil {
		t.Fatal(err)
	}
	w.Write(b)
	w.Close()
	return z.Bytes()
}

func TestDecode(t *testing.T) { paths(func(string) { testDecode(t) }) }

func testDecode(t *testing.T) {
	for name, text := range texts() {
		for _, level := range []int{flate.HuffmanOnly, 0, 1, 6, 9} {
			z := deflate(t, text, level)
			dst := make([]byte, len(text)+100)
			if n, err := Decode(dst, z); err != nil || !bytes.Equal(dst[:n], text) {
				t.Errorf("%s, level %d: %d bytes, %v", name, level, n, err)
			}
			// The destination is exactly full, with data behind the stream, or full before its end.
			z = append(z, "and more"...)
			for _, size := range []int{len(text), len(text) / 2, 1} {
				size = min(size, len(text))
				dst := make([]byte, size)
				if n, err := Decode(dst, z); err != nil || n != size || !bytes.Equal(dst, text[:size]) {
					t.Errorf("%s, level %d, %d bytes: %d, %v", name, level, size, n, err)
				}
			}
		}
	}
}

func TestDecodeTruncated(t *testing.T) {
	text := texts()["lines"][:4000]
	for _, level := range []int{0, 1, 9, flate.HuffmanOnly} {
		z := deflate(t, text, level)
		dst := make([]byte, len(text)+1)
		for i := range len(z) - 1 {
			if n, err := Decode(dst, z[:i]); err == nil && n >= len(text) {
				t.Fatalf("level %d: no error for %d of %d bytes", level, i, len(z))
			}
		}
	}
}

// paths runs f with the assembly, if available, and without it.
func paths(f func(path string)) {
	f("default")
	if useAssembly {
		useAssembly = false
		defer func() { useAssembly = true }()
		f("generic")
	}
}

// TestMalformed flips each bit of streams and truncates them at each byte. Decode must return an error
// exactly if the standard library does.
func TestMalformed(t *testing.T) {
	all := texts()
	for _, name := range []string{"lines", "half", "period"} {
		text := all[name][:400]
		for _, level := range []int{flate.HuffmanOnly, 9} {
			z := deflate(t, text, level)
			for i := range 8 * len(z) {
				z[i/8] ^= 1 << (i % 8)
				compare(t, z, z, len(text)+400)
				z[i/8] ^= 1 << (i % 8)
			}
			for i := range z {
				compare(t, z[:i], z, len(text)+400)
			}
		}
	}
}

// decodePair runs DecodeAll with two jobs.
func decodePair(dstA, srcA, dstB, srcB []byte) (nA, nB int, errA, errB error) {
	jobs := []Job{{Dst: dstA, Src: srcA}, {Dst: dstB, Src: srcB}}
	DecodeAll(jobs)
	return jobs[0].N, jobs[1].N, jobs[0].Err, jobs[1].Err
}

// TestDecodeAll checks that jobs of all kinds, in any number and order, return the same as Decode.
func TestDecodeAll(t *testing.T) {
	var kinds [][2][]byte // source and output
	for _, text := range texts() {
		text = text[:min(len(text), 1<<16)]
		z := deflate(t, text, 6)
		kinds = append(kinds, [2][]byte{z, text}, [2][]byte{z[:len(z)/2], text}, [2][]byte{nil, text}, [2][]byte{z, nil},
			[2][]byte{deflate(t, text[:len(text)/3], 1), text[:len(text)/3]})
	}
	rnd := rand.New(rand.NewPCG(1, 2))
	paths(func(path string) {
		for n := range 40 {
			jobs := make([]Job, n)
			var want [][]byte
			for i := range jobs {
				k := kinds[rnd.IntN(len(kinds))]
				jobs[i] = Job{Dst: make([]byte, len(k[1])), Src: k[0], N: -1, Err: io.EOF}
				want = append(want, k[1])
			}
			DecodeAll(jobs)
			for i, j := range jobs {
				one := make([]byte, len(j.Dst))
				got, err := Decode(one, j.Src)
				if j.N != got || j.Err != err || !bytes.Equal(j.Dst[:got], want[i][:got]) {
					t.Fatalf("%s, %d of %d jobs: %d bytes, %v; want %d, %v", path, i, n, j.N, j.Err, got, err)
				}
			}
		}
	})
}

// TestDecodePair decodes each text together with each other one.
func TestDecodePair(t *testing.T) {
	type packed struct{ text, z []byte }
	var all []packed
	for _, text := range texts() {
		text = text[:min(len(text), 1<<16)]
		all = append(all, packed{text, deflate(t, text, 6)}, packed{text[:len(text)/2], deflate(t, text, 1)})
	}
	paths(func(path string) {
		for _, a := range all {
			for _, b := range all {
				dstA, dstB := make([]byte, len(a.text)), make([]byte, len(b.text))
				nA, nB, errA, errB := decodePair(dstA, a.z, dstB, b.z)
				if nA != len(dstA) || nB != len(dstB) || errA != nil || errB != nil || !bytes.Equal(dstA, a.text) || !bytes.Equal(dstB, b.text) {
					t.Fatalf("%s: %d and %d bytes, %v, %v; want %d and %d", path, nA, nB, errA, errB, len(dstA), len(dstB))
				}
			}
		}
	})
}

// TestBounds checks that wide stores do not change memory behind the destination.
func TestBounds(t *testing.T) {
	paths(func(path string) {
		for name, text := range texts() {
			text = text[:min(len(text), 3000)]
			z := deflate(t, text, 6)
			for size := max(len(text)-400, 0); size <= len(text); size++ {
				a, b := bytes.Repeat([]byte{0xa5}, size+600), bytes.Repeat([]byte{0xa5}, size+600)
				DecodeAll([]Job{{Dst: a[:size], Src: z}, {Dst: b[:size], Src: z}})
				Decode(a[:size], z)
				for _, dst := range [][]byte{a, b} {
					if !bytes.Equal(dst[:size], text[:size]) || len(bytes.Trim(dst[size:], "\xa5")) > 0 {
						t.Fatalf("%s, %s: memory behind the destination changed, size %d", path, name, size)
					}
				}
			}
		}
	})
}

func TestAllocations(t *testing.T) {
	text := texts()["lines"][:1<<16]
	z := deflate(t, text, 6)
	a, b := make([]byte, len(text)), make([]byte, len(text))
	jobs := []Job{{Dst: a, Src: z}, {Dst: b, Src: z}}
	DecodeAll(jobs)
	if n := testing.AllocsPerRun(100, func() { Decode(a, z); DecodeAll(jobs) }); n >= 1 {
		t.Errorf("%v allocations", n)
	}
}

// compare checks the results of Decode and of DecodeAll with another stream against the standard
// library: the same bytes, and an error exactly if that has one.
func compare(t *testing.T, z, other []byte, size int) {
	want := make([]byte, size)
	wantN, wantErr := io.ReadFull(flate.NewReader(bytes.NewReader(z)), want)
	paths(func(path string) {
		got := make([]byte, size)
		n, err := Decode(got, z)
		verdict(t, path, got, n, err, want, wantN, wantErr)
		first, second, beside := make([]byte, size), make([]byte, size), make([]byte, size)
		nA, nO, errA, errO := decodePair(first, z, beside, other)
		verdict(t, path+", first", first, nA, errA, want, wantN, wantErr)
		nP, nB, errP, errB := decodePair(beside, other, second, z)
		verdict(t, path+", second", second, nB, errB, want, wantN, wantErr)
		if nO != nP || errO != errP {
			t.Fatalf("%s: the other stream: %d bytes, %v, or %d, %v", path, nO, errO, nP, errP)
		}
	})
}

func verdict(t *testing.T, path string, got []byte, n int, err error, want []byte, wantN int, wantErr error) {
	t.Helper()
	if !bytes.Equal(got[:min(n, wantN)], want[:min(n, wantN)]) {
		t.Fatalf("%s: wrong bytes", path)
	}
	if wantErr == io.EOF || wantErr == io.ErrUnexpectedEOF {
		// The stream or the input ended. The latter is an error here unless dst was full by then. The
		// standard library lags behind with its output.
		if n < wantN || n != wantN && n < len(got) && err == nil {
			t.Fatalf("%s: got %d bytes, %v, want %d", path, n, err, wantN)
		}
		return
	}
	if wantErr != nil {
		if err == nil {
			t.Fatalf("%s: got %d bytes and no error, want %v", path, n, wantErr)
		}
		return
	}
	if err != nil || n != wantN || !bytes.Equal(got, want) {
		t.Fatalf("%s: got %d bytes, %v, want %d", path, n, err, wantN)
	}
}

// FuzzDecode compares with the standard library, one stream alone and two in turns.
func FuzzDecode(f *testing.F) {
	all := texts()
	names := slices.Sorted(maps.Keys(all))
	for i, name := range names {
		text, other := all[name], all[names[(i+1)%len(names)]]
		other = other[:min(len(other), 5000)]
		f.Add(deflate(f, text[:min(len(text), 2000)], 6), deflate(f, other, 6), uint16(2000))
		f.Add(deflate(f, text[:min(len(text), 300)], flate.HuffmanOnly), deflate(f, other, 9), uint16(100))
		f.Add(deflate(f, text[:min(len(text), 20_000)], 9), deflate(f, other, 1), uint16(20_000))
	}
	f.Fuzz(func(t *testing.T, z, other []byte, size uint16) {
		compare(t, z, other, int(size))
	})
}

func BenchmarkDecode(b *testing.B) {
	for _, name := range []string{"lines", "skewed", "half", "few", "zeros"} {
		text := texts()[name]
		text = text[:min(len(text), 64<<10)]
		z := deflate(b, text, 6)
		dst := make([]byte, len(text))
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(text)))
			for b.Loop() {
				if _, err := Decode(dst, z); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// TestTooFar tests matches that reach to before the start of the output, with each kind of code. Short
// streams do not use the fast loops, long ones do.
func TestTooFar(t *testing.T) {
	for name, z := range map[string][]byte{
		// Fixed codes: a match of 3 bytes at distance 1, then the end of the block.
		"first": {0x03, 0x02, 0x00},
		// The literal "a", a match of 3 bytes at distance 2, then the end.
		"second": {0x4b, 0x04, 0x42, 0x00},
		// The same with a match at distance 32768.
		"farthest": {0x4b, 0x04, 0xde, 0xff, 0x0f, 0x00},
	} {
		for _, more := range []int{0, 7, 8, 1000} {
			for _, room := range []int{1, 2, 4, 5, 300, 5000} {
				src := append(bytes.Clone(z), make([]byte, more)...)
				n, err := Decode(make([]byte, room), src)
				if room > 1 && !errors.Is(err, ErrCorrupt) {
					t.Errorf("%s, %d more input bytes, destination of %d: got %d bytes, %v; want ErrCorrupt", name, more, room, n, err)
				}
				if _, err := io.ReadAll(flate.NewReader(bytes.NewReader(src))); err == nil {
					t.Fatalf("%s: the standard library accepts it", name)
				}
			}
		}
	}
}
