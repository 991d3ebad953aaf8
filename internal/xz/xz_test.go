package xz

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"os/exec"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/luksimg/luksimg/internal/need"
)

// texts returns inputs that compress well, badly and not at all, and one like machine code.
func texts() map[string][]byte {
	rnd := rand.New(rand.NewPCG(1, 2))
	random := make([]byte, 100_000)
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
	code := make([]byte, 150_000)
	for i := range code {
		code[i] = "\x00\xff\xe8\xe9\x00\xff\x01\xfe\x10\xe8"[rnd.UintN(10)]
	}
	far := append(bytes.Clone(lines.Bytes()), random...)
	far = append(far, lines.Bytes()[1000:]...)
	return map[string][]byte{
		"empty": {}, "one": {7}, "zeros": make([]byte, 3<<20), "random": random, "skewed": skewed, "lines": lines.Bytes(), "code": code, "far": far,
		"period": bytes.Repeat([]byte("0123456789abc"), 5000), "mixed": append(append([]byte{}, random[:70000]...), skewed[:70000]...),
	}
}

// compress runs xz.
func compress(t testing.TB, text []byte, args ...string) []byte {
	t.Helper()
	need.Program(t, "xz")
	c := exec.Command("xz", append([]string{"-zc", "-T1"}, args...)...)
	c.Stdin = bytes.NewReader(text)
	var stderr bytes.Buffer
	c.Stderr = &stderr
	out, err := c.Output()
	if err != nil {
		t.Fatalf("xz %s: %v: %s", strings.Join(args, " "), err, &stderr)
	}
	return out
}

// readers decode a file in all available ways.
var readers = map[string]func(z []byte, o Options) ([]byte, error){
	"read":    func(z []byte, o Options) ([]byte, error) { return io.ReadAll(NewReader(bytes.NewReader(z), o)) },
	"writeTo": readWriteTo, "decode": readBlocks, "stream": readStream,
}

func readWriteTo(z []byte, o Options) ([]byte, error) {
	var out bytes.Buffer
	_, err := NewReader(bytes.NewReader(z), o).WriteTo(&out)
	return out.Bytes(), err
}

func readBlocks(z []byte, o Options) ([]byte, error) {
	f, err := Open(bytes.NewReader(z), int64(len(z)), o)
	if err != nil {
		return nil, err
	}
	if f.Size() > 1<<26 {
		return nil, fmt.Errorf("test: %d bytes", f.Size())
	}
	out := make([]byte, f.Size())
	for i, b := range f.Blocks() {
		if err := f.Decode(i, out[b.Offset:][:b.Size:b.Size]); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func readStream(z []byte, o Options) ([]byte, error) {
	f, err := Open(bytes.NewReader(z), int64(len(z)), o)
	if err != nil {
		return nil, err
	}
	if f.Size() > 1<<26 {
		return nil, fmt.Errorf("test: %d bytes", f.Size())
	}
	out := make([]byte, f.Size())
	seen := int64(0)
	err = f.Stream(counter(f), func(offset int64, p []byte) error {
		copy(out[offset:], p)
		seen += int64(len(p))
		return nil
	})
	if err == nil && seen != f.Size() {
		err = fmt.Errorf("test: %d of %d bytes", seen, f.Size())
	}
	return out, err
}

// counter returns a function that returns the numbers of all blocks.
func counter(f *File) func() (int, bool) {
	var n atomic.Int64
	return func() (int, bool) {
		i := int(n.Add(1)) - 1
		return i, i < len(f.Blocks())
	}
}

// checkAll decodes z with all readers.
func checkAll(t *testing.T, name string, z, want []byte, o Options) {
	t.Helper()
	for way, read := range readers {
		got, err := read(z, o)
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s, %s: %d of %d bytes, %v", name, way, len(got), len(want), err)
		}
	}
}

func TestPresets(t *testing.T) {
	all := texts()
	text := slices.Concat(all["far"], all["code"], all["zeros"], all["mixed"])
	for _, args := range []string{"-1", "-2", "-4", "-5", "-7", "-8", "-9", "-0e", "-6e"} {
		if got, err := readStream(compress(t, text, args), Options{}); err != nil || !bytes.Equal(got, text) {
			t.Errorf("%s: %d of %d bytes, %v", args, len(got), len(text), err)
		}
	}
	for _, args := range []string{"-0", "-3e", "-6", "-9e"} {
		checkAll(t, args, compress(t, text, args), text, Options{})
	}
	for name, text := range all {
		checkAll(t, name, compress(t, text), text, Options{})
	}
}

func TestOptions(t *testing.T) {
	all := texts()
	for _, args := range []string{
		"--check=none", "--check=crc32", "--check=crc64", "--check=sha256", "--block-size=4096", "--block-size=65536 --check=sha256", "--block-list=1000,2,70000,0",
		"--lzma2=preset=6,lc=0,lp=0,pb=0", "--lzma2=preset=6,lc=4,lp=0,pb=4", "--lzma2=preset=6,lc=0,lp=4,pb=1", "--lzma2=preset=6,lc=2,lp=2,pb=3", "--lzma2=preset=6,lc=1,lp=3,pb=2",
		"--lzma2=preset=6,dict=4096", "--lzma2=preset=6,dict=100000", "--lzma2=preset=9e,nice=273,mf=bt2", "--lzma2=preset=0,mf=hc3,nice=4",
		"--x86 --lzma2", "--x86=start=4096 --lzma2", "--delta=dist=1 --lzma2", "--delta=dist=256 --lzma2=lc=0", "--delta=dist=4 --x86 --delta=dist=3 --lzma2=dict=4096", "--x86 --lzma2 --block-size=5000",
	} {
		for _, name := range []string{"code", "far"} {
			checkAll(t, name+" "+args, compress(t, all[name], strings.Fields(args)...), all[name], Options{})
		}
	}
}
