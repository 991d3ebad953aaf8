package xz

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/luksimg/luksimg/internal/need"
)

// TestXZUtilsFiles reads the test files of the XZ Utils decoder.
func TestXZUtilsFiles(t *testing.T) {
	files, err := zip.OpenReader("testdata/xz-utils.zip")
	if err != nil {
		t.Fatal(err)
	}
	defer files.Close()
	refused := map[string]string{
		"good-1-arm64-lzma2-1.xz": "filter ARM64", "good-1-arm64-lzma2-2.xz": "filter ARM64", "good-1-empty-bcj-lzma2.xz": "filter PowerPC", "good-1-sparc-lzma2.xz": "filter SPARC",
	}
	for _, file := range files.File {
		r, err := file.Open()
		if err != nil {
			t.Fatal(err)
		}
		z, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		for way, read := range readers {
			_, err := read(z, Options{})
			switch kind, _, _ := strings.Cut(file.Name, "-"); {
			case refused[file.Name] != "":
				if !errors.Is(err, ErrUnsupported) || !strings.Contains(err.Error(), refused[file.Name]) {
					t.Errorf("%s, %s: %v", file.Name, way, err)
				}
			case kind == "good":
				if err != nil {
					t.Errorf("%s, %s: %v", file.Name, way, err)
				}
			case kind == "unsupported":
				if !errors.Is(err, ErrUnsupported) {
					t.Errorf("%s, %s: %v", file.Name, way, err)
				}
			default:
				if !errors.Is(err, ErrCorrupt) && !errors.Is(err, ErrUnsupported) {
					t.Errorf("%s, %s: %v", file.Name, way, err)
				}
			}
		}
	}
	if len(files.File) != 71 {
		t.Errorf("found %d files", len(files.File))
	}
}

// parts are the parts of a file with one stream. file adds checksums and paddings.
type parts struct {
	check  byte
	header []byte // block header without size, padding and CRC32; nil: no block
	data   []byte
	sum    []byte // the block's check
	index  []byte // index without indicator, padding and CRC32
	footer []byte // 6 bytes for size and flags; nil: correct ones
}

func withCRC(b []byte) []byte { return binary.LittleEndian.AppendUint32(b, crc32.ChecksumIEEE(b)) }

func padded(b []byte) []byte { return append(b, make([]byte, pad(int64(len(b))))...) }

func (p parts) file() []byte {
	flags := []byte{0, p.check}
	z := append(bytes.Clone(headMagic), withCRC(flags)...)
	if p.header != nil {
		h := padded(append([]byte{0}, p.header...))
		h[0] = byte(len(h) / 4)
		z = append(z, withCRC(h)...)
		z = append(z, padded(bytes.Clone(p.data))...)
		z = append(z, p.sum...)
	}
	index := withCRC(padded(append([]byte{0}, p.index...)))
	z = append(z, index...)
	footer := p.footer
	if footer == nil {
		footer = append(binary.LittleEndian.AppendUint32(nil, uint32(len(index)/4-1)), 0, p.check)
	}
	z = binary.LittleEndian.AppendUint32(z, crc32.ChecksumIEEE(footer))
	return append(append(z, footer...), footMagic...)
}

// simple is a file with the bytes "abc" in a block with a header of 12 bytes and 7 bytes of data.
func simple() parts {
	return parts{header: []byte{0, 0x21, 1, 0}, data: []byte("\x01\x00\x02abc\x00"), index: []byte{1, 12 + 7, 3}}
}

// long is the longest variable-length integer.
var long = []byte("\xff\xff\xff\xff\xff\xff\xff\xff\x7f")

// refusals are files with one error, and a part of the expected message.
var refusals = []struct {
	name string
	edit func(p *parts)
	want string
}{
	{"check", func(p *parts) { p.check = 2 }, "check 2"},
	{"flags", func(p *parts) { p.check = 0x10 }, "stream flags"},
	{"block flags", func(p *parts) { p.header[0] = 4 }, "flags 0x04"},
	{"no data size", func(p *parts) { p.header = []byte{0x40, 0, 0x21, 1, 0} }, "compressed size is 0"},
	{"data size", func(p *parts) { p.header = []byte{0x40, 8, 0x21, 1, 0} }, "sizes"},
	{"output size", func(p *parts) { p.header = []byte{0x80, 4, 0x21, 1, 0} }, "sizes"},
	{"less output", func(p *parts) { p.header = []byte{0x80, 2, 0x21, 1, 0} }, ""},
	{"filter", func(p *parts) { p.header[1] = 0x7f }, "filter 0x7f"},
	{"ARM", func(p *parts) { p.header = []byte{1, 7, 0, 0x21, 1, 0} }, "filter ARM"},
	{"LZMA2 first", func(p *parts) { p.header = []byte{1, 0x21, 1, 0, 0x21, 1, 0} }, "place"},
	{"delta last", func(p *parts) { p.header = []byte{0, 3, 1, 0} }, "place"},
	{"delta without", func(p *parts) { p.header = []byte{1, 3, 0, 0x21, 1, 0} }, "delta has 0 bytes"},
	{"x86 start", func(p *parts) { p.header = []byte{1, 4, 1, 0, 0x21, 1, 0} }, "x86 has 1 bytes"},
	{"LZMA2 properties", func(p *parts) { p.header = []byte{0, 0x21, 2, 0, 0} }, "LZMA2 has 2 bytes"},
	{"dictionary", func(p *parts) { p.header[3] = 41 }, "code 41"},
	{"filter too long", func(p *parts) { p.header[2] = 9 }, "exceed its size"},
	{"long VLI", func(p *parts) { p.header = append([]byte{0x40, 0x80, 0}, p.header[1:]...) }, "non-minimal"},
	{"longer VLI", func(p *parts) { p.header = append(append([]byte{0x40, 0x80}, long...), p.header[1:]...) }, ""},
	{"block padding", func(p *parts) { p.data = append(p.data, 1) }, "padding of the block"},
	{"sum", func(p *parts) { p.check, p.sum, p.index[1] = 1, []byte{1, 2, 3, 4}, 12+7+4 }, "CRC32 of the block"},
	{"chunk", func(p *parts) { p.data[0] = 3 }, "kind 0x03"},
	{"no reset", func(p *parts) { p.data[0] = 2 }, "does not reset"},
	{"no properties", func(p *parts) { p.data = []byte("\x01\x00\x00a\x80\x00\x00\x00\x05abcdef\x00"); p.index[1] = 12 + 16 }, "without properties"},
	{"properties", func(p *parts) { p.data = []byte("\xe0\x00\x02\x00\x05\xe1abcdef\x00"); p.index[1] = 12 + 13 }, "properties 0xe1"},
	{"lc+lp", func(p *parts) { p.data = []byte("\xe0\x00\x02\x00\x05\x0dabcdef\x00"); p.index[1] = 12 + 13 }, "lc 4, lp 1"},
	{"short chunk", func(p *parts) { p.data = []byte("\xe0\x00\x02\x00\x03\x5d\x00bcd\x00"); p.index[1] = 12 + 11 }, "fewer than 5"},
	{"first byte", func(p *parts) { p.data = []byte("\xe0\x00\x02\x00\x04\x5d\x01bcde\x00"); p.index[1] = 12 + 12 }, "first byte"},
	{"garbage", func(p *parts) { p.data = []byte("\xe0\x00\x02\x00\x05\x5d\x00bcdef\x00"); p.index[1] = 12 + 13 }, "chunk that ends at"},
	{"match first", func(p *parts) { p.data = []byte("\xe0\x00\x02\x00\x07\x5d\x00\xffbcdefg\x00"); p.index[1] = 12 + 15 }, "distance or length"},
	{"more records", func(p *parts) { p.index = []byte{2, 19, 3, 19, 3} }, ""},
	{"fewer records", func(p *parts) { p.index = []byte{0} }, ""},
	{"many records", func(p *parts) { p.index = append(bytes.Clone(long), 19, 3) }, ""},
	{"record size", func(p *parts) { p.index[1] = 20 }, "sizes"},
	{"record output", func(p *parts) { p.index[2] = 4 }, "sizes"},
	{"record too small", func(p *parts) { p.index[1] = 4 }, "a block of 4 bytes"},
	{"record ratio", func(p *parts) { p.index = append([]byte{1, 19}, long...) }, "impossible output"},
	{"record too big", func(p *parts) { p.index = append(append([]byte{1}, long...), 3) }, "a block of 9223372036854775807"},
	{"long record", func(p *parts) { p.index = []byte{1, 19, 0x83, 0} }, "non-minimal"},
	{"index padding", func(p *parts) { p.index = append(p.index, 1) }, ""},
	{"footer flags", func(p *parts) { p.footer = []byte{1, 0, 0, 0, 0, 1} }, ""},
	{"backward size", func(p *parts) { p.footer = []byte{2, 0, 0, 0, 0, 0} }, ""},
	{"big backward size", func(p *parts) { p.footer = []byte{255, 255, 255, 255, 0, 0} }, ""},
}

// TestRefusals checks that each reader and xz reject files with one error.
func TestRefusals(t *testing.T) {
	need.Program(t, "xz")
	if got, err := readBlocks(simple().file(), Options{}); err != nil || string(got) != "abc" {
		t.Fatalf("%q, %v", got, err)
	}
	if !xzTakes(t, simple().file()) {
		t.Fatal("xz rejects the valid file")
	}
	for _, r := range refusals {
		p := simple()
		r.edit(&p)
		z := p.file()
		for way, read := range readers {
			_, err := read(z, Options{})
			if !errors.Is(err, ErrCorrupt) && !errors.Is(err, ErrUnsupported) || !strings.Contains(err.Error(), r.want) {
				t.Errorf("%s, %s: %v", r.name, way, err)
			}
		}
		if r.name != "ARM" && xzTakes(t, z) {
			t.Errorf("xz accepts %s", r.name)
		}
	}
}

// xzTakes reports whether xz accepts z.
func xzTakes(t testing.TB, z []byte) bool {
	t.Helper()
	name := filepath.Join(t.TempDir(), "a.xz")
	if err := os.WriteFile(name, z, 0o600); err != nil {
		t.Fatal(err)
	}
	err := exec.Command("xz", "-tq", "--memlimit=200MiB", name).Run()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return err == nil
}

// TestStreams reads several streams with padding.
func TestStreams(t *testing.T) {
	all := texts()
	a, b := compress(t, all["lines"], "--block-size=50000"), compress(t, all["skewed"], "--check=sha256")
	empty := compress(t, nil)
	join := func(parts ...[]byte) []byte { return bytes.Join(parts, nil) }
	zeros := func(n int) []byte { return make([]byte, n) }
	for name, test := range map[string]struct {
		z, want []byte
	}{
		"two": {join(a, b), join(all["lines"], all["skewed"])}, "padding": {join(a, zeros(4), b, zeros(8)), join(all["lines"], all["skewed"])},
		"much padding": {join(a, zeros(200_000), a, zeros(200_000)), join(all["lines"], all["lines"])},
		"empty":        {join(empty, empty, b, zeros(12), empty, zeros(4)), all["skewed"]},
	} {
		checkAll(t, name, test.z, test.want, Options{})
	}
	for name, z := range map[string][]byte{
		"nothing": {}, "zeros": zeros(400), "zeros first": join(zeros(4), a), "3 of padding": join(a, zeros(3)), "5 of padding": join(a, zeros(5), b), "garbage": join(a, []byte("garbage")), "12 bytes of garbage": join(a, []byte("garbage here")), "magic": a[:6],
	} {
		for way, read := range readers {
			if _, err := read(z, Options{}); !errors.Is(err, ErrCorrupt) {
				t.Errorf("%s, %s: %v", name, way, err)
			}
		}
		if xzTakes(t, z) {
			t.Errorf("xz accepts %s", name)
		}
	}
	f, err := Open(bytes.NewReader(join(a, b)), int64(len(a)+len(b)), Options{})
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(f.Checks(), " "); got != "CRC64 SHA-256" {
		t.Errorf("checks are %s", got)
	}
	for i, b := range f.Blocks() {
		if f.Find(b.Offset) != i || f.Find(b.Offset+b.Size-1) != i {
			t.Errorf("Find does not return block %d: %d, %d", i, f.Find(b.Offset), f.Find(b.Offset+b.Size-1))
		}
	}
	if f.Find(f.Size()) != len(f.Blocks()) {
		t.Error("Find returns a block at the end")
	}
}

// TestCutOff truncates a file at each byte, and flips a bit of each byte. No reader may accept wrong
// data.
func TestCutOff(t *testing.T) {
	z := compress(t, texts()["lines"][:400], "--block-size=150")
	for i := range z {
		flipped := bytes.Clone(z)
		flipped[i] ^= 1 << (i % 8)
		for way, read := range readers {
			if _, err := read(z[:i], Options{}); !errors.Is(err, ErrCorrupt) {
				t.Errorf("%d of %d bytes, %s: %v", i, len(z), way, err)
			}
			if _, err := read(flipped, Options{}); !errors.Is(err, ErrCorrupt) && !errors.Is(err, ErrUnsupported) && !errors.Is(err, ErrLimit) {
				t.Errorf("byte %d, %s: %v", i, way, err)
			}
		}
	}
}

// TestOthers checks that the errors name other formats.
func TestOthers(t *testing.T) {
	for name, z := range map[string][]byte{".lzma": compress(t, []byte("abc"), "--format=lzma"), "lzip": []byte("LZIP\x01\x0cabcdefghijklmnopq")} {
		for way, read := range readers {
			if _, err := read(z, Options{}); !errors.Is(err, ErrUnsupported) || !strings.Contains(err.Error(), name) {
				t.Errorf("%s, %s: %v", name, way, err)
			}
		}
	}
}

// TestLimits checks the limits of dictionaries and of blocks.
func TestLimits(t *testing.T) {
	text := texts()["lines"]
	z := compress(t, text, "--lzma2=preset=0,dict=128MiB", "--block-size=100000")
	for _, way := range []string{"read", "writeTo"} {
		if _, err := readers[way](z[:len(z):len(z)], Options{}); err != nil && !errors.Is(err, ErrLimit) {
			t.Errorf("%s: %v", way, err)
		}
		if _, err := readers[way](z, Options{MaxDict: 50_000}); !errors.Is(err, ErrLimit) {
			t.Errorf("%s: %v", way, err)
		}
		if got, err := readers[way](z, Options{MaxDict: 128 << 20}); err != nil || !bytes.Equal(got, text) {
			t.Errorf("%s: %v", way, err)
		}
	}
	// Blocks that are shorter than their dictionaries need no more memory than their size.
	if got, err := readStream(z, Options{MaxDict: 100_000}); err != nil || !bytes.Equal(got, text) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	if _, err := readStream(z, Options{MaxDict: 50_000}); !errors.Is(err, ErrLimit) {
		t.Error(err)
	}
	if _, err := readStream(z, Options{MaxBlocks: 3}); !errors.Is(err, ErrLimit) {
		t.Error(err)
	}
	if _, err := readStream(bytes.Repeat(compress(t, nil), 5), Options{MaxBlocks: 4}); !errors.Is(err, ErrLimit) {
		t.Error(err)
	}
}

// TestEmit checks that Stream stops at an error of emit.
func TestEmit(t *testing.T) {
	z := compress(t, texts()["lines"], "--block-size=50000")
	f, err := Open(bytes.NewReader(z), int64(len(z)), Options{})
	if err != nil {
		t.Fatal(err)
	}
	mine := errors.New("mine")
	calls := 0
	if err := f.Stream(counter(f), func(int64, []byte) error { calls++; return mine }); err != mine || calls != 1 {
		t.Errorf("%v after %d calls", err, calls)
	}
	// A later call must not see the blocks of the failed one.
	if got, err := readStream(z, Options{}); err != nil || !bytes.Equal(got, texts()["lines"]) {
		t.Error(err)
	}
}

// FuzzFile checks that all readers, and xz if installed, agree about a file that is made of parts.
func FuzzFile(f *testing.F) {
	add := func(p parts) { f.Add(p.check, p.header, p.data, p.sum, p.index, p.footer) }
	add(simple())
	for _, r := range refusals {
		p := simple()
		r.edit(&p)
		add(p)
	}
	_, lack := exec.LookPath("xz")
	f.Fuzz(func(t *testing.T, check byte, header, data, sum, index, footer []byte) {
		if len(header) > 1000 || footer != nil && len(footer) != 6 {
			return
		}
		z := parts{check, header, data, sum, index, footer}.file()
		agree(t, z, lack == nil)
	})
}

// agree checks that all readers, and xz if requested, agree about z.
func agree(t *testing.T, z []byte, xz bool) {
	want, first := readStream(z, Options{})
	if first != nil && !errors.Is(first, ErrCorrupt) && !errors.Is(first, ErrUnsupported) && !errors.Is(first, ErrLimit) {
		t.Fatal(first)
	}
	for way, read := range readers {
		got, err := read(z, Options{})
		if (err == nil) != (first == nil) && !errors.Is(err, ErrLimit) && !errors.Is(first, ErrLimit) {
			t.Fatalf("%s: %v; stream: %v", way, err, first)
		}
		if err == nil && first == nil && !bytes.Equal(got, want) {
			t.Fatalf("%s: %x; stream: %x", way, got, want)
		}
	}
	if xz && !errors.Is(first, ErrLimit) && !errors.Is(first, ErrUnsupported) {
		if xzTakes(t, z) != (first == nil) {
			t.Fatalf("stream: %v, but xz disagrees", first)
		}
	}
}

// FuzzBytes is like FuzzFile for arbitrary bytes.
func FuzzBytes(f *testing.F) {
	f.Add(simple().file())
	f.Add(append(simple().file(), make([]byte, 4)...))
	f.Fuzz(func(t *testing.T, z []byte) { agree(t, z, false) })
}
