package archive

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/luksimg/luksimg/image"
	"github.com/luksimg/luksimg/internal/imagetest"
	"github.com/luksimg/luksimg/internal/need"
)

// TestOtherTars reads archives of GNU tar, bsdtar and 7z in all their formats, with a sparse disk, a
// long name and a compressed disk.
func TestOtherTars(t *testing.T) {
	need.Program(t, "tar", "bsdtar", "7z")
	dir := t.TempDir()
	long := strings.Repeat("long name/", 18) + "disk.qcow2"
	if err := os.MkdirAll(filepath.Join(dir, filepath.Dir(long)), 0o755); err != nil {
		t.Fatal(err)
	}
	// The disk has many runs: the old format needs additional blocks for the map.
	disk := make([]byte, 8<<20+513)
	for off := 128 << 10; off < len(disk)-(256<<10); off += 192 << 10 {
		copy(disk[off:], noise(16<<10, byte(off>>16)))
	}
	copy(disk[len(disk)-100:], noise(100, 9))
	f, err := os.Create(filepath.Join(dir, "disk.raw"))
	if err != nil {
		t.Fatal(err)
	}
	for off := 0; off < len(disk); off += 4096 {
		p := disk[off:min(off+4096, len(disk))]
		if len(bytes.Trim(p, "\x00")) > 0 {
			if _, err := f.WriteAt(p, int64(off)); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	qcow := noise(100_000, 3)
	for name, text := range map[string]string{long: qcow, "README": "read me"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	short := []string{"README", "disk.raw"}
	tests := map[string]struct {
		command []string
		sparse  bool
		long    bool
	}{
		"gnu":               {[]string{"tar", "--format=gnu", "-cf"}, false, true},
		"gnu sparse":        {[]string{"tar", "--format=gnu", "-Scf"}, true, true},
		"oldgnu sparse":     {[]string{"tar", "--format=oldgnu", "-Scf"}, true, true}, // required by Google Compute Engine
		"posix":             {[]string{"tar", "--format=posix", "-cf"}, false, true},
		"posix 1.0 sparse":  {[]string{"tar", "--format=posix", "-Scf"}, true, true},
		"posix 0.1 sparse":  {[]string{"tar", "--format=posix", "--sparse-version=0.1", "-Scf"}, true, true},
		"posix 0.0 sparse":  {[]string{"tar", "--format=posix", "--sparse-version=0.0", "-Scf"}, true, true},
		"ustar":             {[]string{"tar", "--format=ustar", "-cf"}, false, true},
		"v7":                {[]string{"tar", "--format=v7", "-cf"}, false, false},
		"bsdtar ustar":      {[]string{"bsdtar", "--format=ustar", "-cf"}, false, true},
		"bsdtar pax":        {[]string{"bsdtar", "--format=pax", "-cf"}, true, true},
		"bsdtar restricted": {[]string{"bsdtar", "-cf"}, true, true},
		"bsdtar gnutar":     {[]string{"bsdtar", "--format=gnutar", "-cf"}, false, true},
		"7z":                {[]string{"7z", "a", "-ttar"}, false, true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			out := filepath.Join(t.TempDir(), "a.tar")
			args := append(test.command[1:len(test.command):len(test.command)], out)
			files := short
			if test.long {
				files = append([]string{long}, short...)
			}
			need.Run(t, dir, test.command[0], append(args, files...)...)
			b, err := os.ReadFile(out)
			if err != nil {
				t.Fatal(err)
			}
			if !Detect(bytes.NewReader(b), int64(len(b))) {
				t.Error("not detected")
			}
			a := opened(t, b)
			if len(a.Warnings) > 0 {
				t.Errorf("warnings: %q", a.Warnings)
			}
			d, err := a.Disk("disk.raw")
			if err != nil {
				t.Fatal(err)
			}
			if sparse := d.Size < int64(len(disk)); sparse != test.sparse {
				t.Errorf("%d bytes of %d are stored", d.Size, len(disk))
			}
			file, err := d.Open()
			if err != nil {
				t.Fatal(err)
			}
			imagetest.Source(t, file, disk)
			if test.long {
				if got, err := content(t, a, long); err != nil || got != qcow {
					t.Errorf("%d bytes, %v", len(got), err)
				}
				if _, err := a.Disk(""); !errors.Is(err, ErrChoice) {
					t.Errorf("two disks: %v", err)
				}
			} else if got, err := content(t, a, ""); err != nil || got != string(disk) {
				t.Errorf("the only disk: %d bytes, %v", len(got), err)
			}
		})
	}
}

// TestNames uses archives in which one member, or none, is the disk.
func TestNames(t *testing.T) {
	tests := map[string]struct {
		names []string
		want  string // "" means none or several
	}{
		"one disk":        {[]string{"README", "disk.raw", "SHA256SUMS"}, "disk.raw"},
		"Vagrant":         {[]string{"Vagrantfile", "metadata.json", "box.img"}, "box.img"},
		"compressed":      {[]string{"a.txt", "x/disk.IMG.Xz"}, "x/disk.IMG.Xz"},
		"the only file":   {[]string{"disk"}, "disk"},
		"of macOS":        {[]string{"._disk.raw", "disk.raw"}, "disk.raw"},
		"a folder":        {[]string{"disk.raw/", "disk.raw/disk"}, "disk.raw/disk"},
		"two disks":       {[]string{"a.vmdk", "b.vmdk"}, ""},
		"nothing":         {nil, ""},
		"two other files": {[]string{"a", "b.gz"}, ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			var files []file
			for _, n := range test.names {
				f := file{name: n, data: "content of " + n}
				if strings.HasSuffix(n, "/") {
					f = file{name: n, kind: '5'}
				}
				files = append(files, f)
			}
			a := opened(t, tarOf(t, files...))
			got, err := content(t, a, "")
			switch {
			case test.want == "" && !errors.Is(err, ErrChoice):
				t.Errorf("%q, %v", got, err)
			case test.want != "" && (err != nil || got != "content of "+test.want):
				t.Errorf("%q, %v; want the content of %s", got, err, test.want)
			}
		})
	}
	a := opened(t, tarOf(t, file{name: "d.raw", data: "1"}, file{name: "d.raw", data: "2"}, file{name: "l.raw", kind: '1', link: "d.raw"}))
	for _, name := range []string{"d.raw", "l.raw"} {
		if _, err := a.Disk(name); !errors.Is(err, image.ErrUnsupported) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// block returns a header with a valid checksum.
func block(name string, kind byte, size string, change func(b []byte)) []byte {
	b := make([]byte, blockSize)
	copy(b, name)
	copy(b[100:], "0000644\x00")
	copy(b[124:], size)
	b[156] = kind
	copy(b[257:], "ustar\x0000")
	if change != nil {
		change(b)
	}
	setSum(b)
	return b
}

// setSum sets the checksum of a header.
func setSum(b []byte) {
	sum := int64(8 * ' ')
	for i, c := range b {
		if i < 148 || i >= 156 {
			sum += int64(c)
		}
	}
	copy(b[148:], fmt.Sprintf("%06o\x00 ", sum))
}

// base256 returns a binary size field, as GNU tar writes it.
func base256(n uint64) string {
	b := make([]byte, 12)
	b[0] = 0x80
	binary.BigEndian.PutUint64(b[4:], n)
	return string(b)
}

func pax(records ...string) []byte {
	var all string
	for _, r := range records {
		n := len(r) + 3
		for len(fmt.Sprintf("%d %s\n", n, r)) != n {
			n++
		}
		all += fmt.Sprintf("%d %s\n", n, r)
	}
	b := block("x", 'x', fmt.Sprintf("%011o", len(all)), nil)
	return append(b, append([]byte(all), make([]byte, -len(all)&511)...)...)
}

func TestHostileTar(t *testing.T) {
	data := make([]byte, 1024)
	end := make([]byte, 1024)
	oldSparse := func(pairs ...uint64) []byte {
		return block("d.raw", 'S', fmt.Sprintf("%011o", 512), func(b []byte) {
			copy(b[257:], "ustar  \x00")
			for i, n := range pairs {
				copy(b[386+12*i:], base256(n))
			}
			copy(b[483:], base256(4096))
		})
	}
	tests := map[string]struct {
		b     [][]byte
		field string
		want  string
	}{
		"longer than the archive":  {[][]byte{block("d.raw", '0', fmt.Sprintf("%011o", 4096), nil), data, end}, "size", "truncated"},
		"a size of 8 EiB":          {[][]byte{block("d.raw", '0', base256(math.MaxInt64), nil), data, end}, "size", "truncated"},
		"a negative size":          {[][]byte{block("d.raw", '0', strings.Repeat("\xff", 12), nil), data, end}, "header", "invalid"},
		"a size that overflows":    {[][]byte{block("d.raw", '0', "\x80"+strings.Repeat("\xff", 11), nil), data, end}, "header", "invalid"},
		"a size that is not octal": {[][]byte{block("d.raw", '0', "9999", nil), data, end}, "header", "invalid"},
		"no header":                {[][]byte{block("d.raw", '0', "02000", nil), data, bytes.Repeat([]byte("x"), 512)}, "header", "invalid"},
		"cut off in a header":      {[][]byte{block("d.raw", '0', "02000", nil), data, block("e", '0', "0", nil)[:100]}, "header", "cut off"},
		"pax size":                 {[][]byte{pax("size=99999999999"), block("d.raw", '0', "02000", nil), data, end}, "size", "truncated"},
		"pax size, negative":       {[][]byte{pax("size=-5"), block("d.raw", '0', "02000", nil), data, end}, "header", "invalid"},
		"pax of 1 GiB":             {[][]byte{block("x", 'x', fmt.Sprintf("%011o", 1<<30), nil), data}, "", ""},
		"long name of 1 GiB":       {[][]byte{block("x", 'L', fmt.Sprintf("%011o", 1<<30), nil), data}, "", ""},
		"sparse out of order":      {[][]byte{oldSparse(1024, 256, 0, 256), data, end}, "header", "invalid"},
		"sparse past the end":      {[][]byte{oldSparse(0, 512, 4096, 512), data, end}, "header", "invalid"},
		"sparse that overflows":    {[][]byte{oldSparse(math.MaxInt64, math.MaxInt64), data, end}, "header", "invalid"},
		"sparse without its data":  {[][]byte{oldSparse(0, 4096), data[:512]}, "map of a sparse file", "of 4096 bytes, but 512 are stored"},
		"sparse, endless map": {[][]byte{block("d.raw", 'S', "0", func(b []byte) {
			copy(b[257:], "ustar  \x00")
			b[482] = 1
		})}, "header", "cut off"},
		"pax sparse 1.0 of many": {[][]byte{pax("GNU.sparse.major=1", "GNU.sparse.minor=0", "GNU.sparse.realsize=4096"), block("d.raw", '0', "01000", nil), []byte("999999999\n" + strings.Repeat("0\n", 251)), end}, "header", "cut off"},
		"pax sparse 0.1, odd":    {[][]byte{pax("GNU.sparse.map=1,2,3", "GNU.sparse.numblocks=1", "GNU.sparse.size=4096"), block("d.raw", '0', "01000", nil), data, end}, "header", "invalid"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			imagetest.Bounded(t, 8<<20, func() {
				_, err := open(bytes.Join(test.b, nil))
				if test.field != "" {
					imagetest.Refused(t, err, "tar", test.field, -1, test.want)
				} else if err == nil {
					t.Error("no error")
				}
			})
		})
	}
	t.Run("global", func(t *testing.T) {
		g := pax("path=other.raw")
		g = append(block("g", 'g', fmt.Sprintf("%011o", len("18 path=other.raw\n")), nil), g[512:]...)
		_, err := open(slicesOf(g, block("d.raw", '0', "02000", nil), data, end))
		imagetest.Refused(t, err, "tar", "global header record path", 0, "all members")
		comment := append(block("g", 'g', fmt.Sprintf("%011o", len("14 comment=abc\n")), nil), make([]byte, 512)...)
		copy(comment[512:], "15 comment=abc\n")
		a, err := open(slicesOf(comment, block("d.raw", '0', "02000", nil), data, end))
		if err != nil || len(a.Disks) != 1 || a.Disks[0].Size != 1024 {
			t.Errorf("%+v, %v", a, err)
		}
	})
	t.Run("without an end", func(t *testing.T) {
		for _, tail := range [][]byte{nil, end[:512]} {
			a := opened(t, slicesOf(block("d.raw", '0', "02000", nil), data, tail))
			if got := strings.Join(a.Warnings, ""); !strings.Contains(got, "no end mark after its last member, at byte 1536") {
				t.Errorf("warnings: %q", got)
			}
		}
	})
}

func slicesOf(b ...[]byte) []byte { return bytes.Join(b, nil) }

// many is an archive of unknown length with any number of empty members.
type many struct {
	n     int64
	block []byte
}

func (m many) ReadAt(p []byte, off int64) (int, error) {
	if off >= m.n*blockSize {
		return 0, io.EOF
	}
	return copy(p, m.block[off%blockSize:]), nil
}

// endless is a header followed by an infinite number of equal blocks.
type endless struct{ header, block []byte }

func (e endless) ReadAt(p []byte, off int64) (int, error) {
	for i := range p {
		if at := off + int64(i); at < int64(len(e.header)) {
			p[i] = e.header[at]
		} else {
			p[i] = e.block[at%int64(len(e.block))]
		}
	}
	return len(p), nil
}

// TestEndless uses headers that are as long as the file, which is sparse or compressed.
func TestEndless(t *testing.T) {
	more := make([]byte, blockSize)
	more[0], more[504] = '1', 1 // an extended map
	head := block("d.raw", 'S', "0", func(b []byte) {
		copy(b[257:], "ustar  \x00")
		b[482] = 1
	})
	long := slicesOf(block("x", 'x', fmt.Sprintf("%011o", 1<<19), nil), bytes.Repeat([]byte("0"), 1<<19))
	for name, file := range map[string]endless{"map": {head, more}, "names": {nil, slicesOf(block("x", 'L', fmt.Sprintf("%011o", 512), nil), make([]byte, 512))}, "pax": {nil, long}} {
		t.Run(name, func(t *testing.T) {
			imagetest.Bounded(t, 512<<20, func() {
				_, err := Open(context.Background(), file, 1<<50, Options{})
				if !errors.Is(err, image.ErrFormat) {
					t.Error(err)
				}
			})
		})
	}
}

func TestManyMembers(t *testing.T) {
	empty := many{1_000_000, block("a", '0', "0", nil)}
	imagetest.Bounded(t, 300<<20, func() {
		_, err := Open(context.Background(), empty, empty.n*blockSize, Options{})
		imagetest.Refused(t, err, "tar", "number of members", maxMembers*blockSize, "archive of disk images")
	})
	// All members have the same name, which is that of a disk.
	disks := many{maxMembers, block("a.raw", '0', "0", nil)}
	a, err := Open(context.Background(), disks, disks.n*blockSize, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := a.Disk(""); !errors.Is(err, ErrChoice) || len(err.Error()) > 1000 {
		t.Error(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := Open(ctx, disks, disks.n*blockSize, Options{}); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	// The names have the maximum length.
	long := tarOf(t, file{name: strings.Repeat("n", 1<<19), data: "x"})
	long = bytes.Repeat(long[:len(long)-1024], 20)
	_, err = open(long)
	imagetest.Refused(t, err, "tar", "length of all names", -1, "more than 4194304 bytes")
}

func TestDetect(t *testing.T) {
	b := tarOf(t, file{name: "a", data: "b"})
	for name, test := range map[string]struct {
		b    []byte
		want bool
	}{
		"tar":         {b, true},
		"short":       {b[:511], false},
		"zeros":       {make([]byte, 2048), false},
		"another sum": {append([]byte{'b'}, b[1:]...), false},
		"noise":       {[]byte(noise(1024, 1)), false},
		"old":         {block("a", 0, "01", func(b []byte) { clear(b[257:265]) }), true},
	} {
		if got := Detect(bytes.NewReader(test.b), int64(len(test.b))); got != test.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// TestReadErrors uses a file that cannot be read. Its error must not be reported as an error of the
// format.
func TestReadErrors(t *testing.T) {
	disk := file{name: "vm-disk1.vmdk", data: noise(5_000, 1)}
	ovf := file{name: "vm.ovf", data: virtualBoxOVF(disk.name)}
	b := tarOf(t, ovf, file{name: "vm.mf", data: manifestOf(vmwareForm, disk)}, disk)
	imagetest.ReadErrors(t, bytes.NewReader(b), []byte(disk.data), 8, func(r io.ReaderAt) (image.Source, error) {
		a, err := Open(context.Background(), r, int64(len(b)), Options{})
		if err != nil {
			return nil, err
		}
		d, err := a.Disk("")
		if err != nil {
			return nil, err
		}
		return d.Open()
	})
}
