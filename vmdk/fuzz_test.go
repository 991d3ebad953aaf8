package vmdk

import (
	"bytes"
	"compress/zlib"
	"context"
	"encoding/json"
	"errors"
	"io"
	"testing"

	"github.com/luksimg/luksimg/image"
	"github.com/luksimg/luksimg/internal/imagetest"
)

// fuzzFiles are the files that a fuzzed image can name.
var fuzzFiles = map[string][]byte{
	"flat": imagetest.Noise(20*sectorSize, 1),
	"s001": img{sectors: 32, grain: 8, entries: 2, bare: true}.build().file,
}

// FuzzOpen opens, describes and reads files of any content. Bit 0 of flags allows other files, with 3000
// bytes for unknown names. Bit 1 opens for metadata only.
func FuzzOpen(f *testing.F) {
	for _, m := range []img{
		// Large inputs slow the fuzzer down.
		{area: 1, sectors: 16, grain: 8, entries: 1},
		{area: 1, sectors: 15, grain: 8, entries: 2, version: 2, kinds: "hd", redundant: true, seed: 1},
		{area: 1, sectors: 16, grain: 8, entries: 1, late: true, seed: 2},
		{area: 1, sectors: 17, grain: 8, kinds: "--d", parent: "1", hint: "flat", seed: 3},
		{area: 1, sectors: 16, grain: 8, entries: 1, version: 3, compress: true, markers: true, late: true, footer: true, kinds: "d", level: 1, seed: 4},
		{area: 1, sectors: 16, grain: 8, version: 3, compress: true, kinds: "d", level: 1, seed: 5},
	} {
		w := m.build()
		f.Add(w.file, byte(0))
		f.Add(w.file, byte(1))
		f.Add(w.file[:len(w.file)*2/3], byte(1))
	}
	f.Add([]byte("version=1\nCID=1\nparentCID=2\nRW 10 FLAT \"flat\" 3\nRW 32 SPARSE \"s001\"\nRW 5 ZERO\n"), byte(1))
	f.Add([]byte("# Disk DescriptorFile\nversion=1\nRW 10 VMFS \"flat\"\n"), byte(2))
	f.Fuzz(func(t *testing.T, file []byte, flags byte) {
		opts := Options{MetadataOnly: flags&2 != 0}
		if flags&1 != 0 {
			opts.Resolve = func(r image.Ref) (image.Source, error) {
				b, ok := fuzzFiles[r.Name()]
				if !ok {
					b = make([]byte, 3000)
				}
				return bytes.NewReader(b), nil
			}
		}
		fuzzOpen(t, file, opts)
	})
}

func fuzzOpen(t *testing.T, file []byte, opts Options) {
	r, size := bytes.NewReader(file), int64(len(file))
	var d *Disk
	var err error
	// Budget: the descriptor with its parsed lines, both grain directories, and the footer.
	imagetest.Bounded(t, 400*uint64(size)+512<<10, func() { d, err = Open(context.Background(), r, size, opts) })
	detected := Detect(r, size)
	if err != nil {
		if !expected(err) {
			t.Fatalf("unexpected kind of error: %v", err)
		}
		return
	}
	if !detected {
		t.Fatal("opened but not detected")
	}
	i, err := d.Info(context.Background())
	if err != nil && !expected(err) {
		t.Fatalf("Info: %v", err)
	}
	if _, err := json.Marshal(i); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Check(context.Background()); err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Fatalf("Check: %v", err)
	}
	if opts.MetadataOnly {
		return
	}
	imagetest.Hostile(t, d, 1<<18, expected)
}

// expected reports whether an error is one that is documented for a bad file.
func expected(err error) bool {
	var refused *image.RefusedError
	return errors.Is(err, image.ErrFormat) || errors.Is(err, image.ErrUnsupported) ||
		errors.Is(err, io.ErrUnexpectedEOF) || errors.As(err, &refused)
}

// FuzzDescriptor parses texts. An accepted descriptor must parse to the same values after it is written.
func FuzzDescriptor(f *testing.F) {
	for _, build := range splits() {
		text, _, _ := build()
		f.Add([]byte(text), false)
	}
	m := img{sectors: 100, parent: "1", hint: "../base.vmdk", crlf: true}
	m.defaults()
	f.Add([]byte(m.text("disk.vmdk", "SPARSE")+"\x00rest"), true)
	f.Add([]byte("version=1\nRW 18014398509481983 ZERO\nRW 1 ZERO\n"), false)
	f.Add([]byte("version=4\nNOACCESS 1 FLAT \"a\" 99999999999999999999\n"), false)
	f.Fuzz(func(t *testing.T, text []byte, inside bool) {
		off := int64(0)
		if inside {
			off = sectorSize
		}
		d, err := parseDescriptor(text, off)
		if err != nil {
			var fe *image.FormatError
			if errors.As(err, &fe) && (fe.Offset < off || fe.Offset > off+int64(len(text))) {
				t.Fatalf("error offset %d outside the text of %d bytes: %v", fe.Offset, len(text), err)
			}
			if !expected(err) || len(err.Error()) > 1500 {
				t.Fatalf("unexpected error: %v", err)
			}
			return
		}
		sum := int64(0)
		if len(d.extents) == 0 || len(d.extents) > maxExtents {
			t.Fatalf("%d extents", len(d.extents))
		}
		for _, x := range d.extents {
			again, ok, err := parseExtent(x.String(), x.at)
			if !ok || err != nil || again != x {
				t.Fatalf("%+v parses again as %+v, %v", x, again, err)
			}
			if x.sectors <= 0 || x.offset < 0 || x.offset+x.sectors > maxSectors {
				t.Fatalf("invalid extent %+v", x)
			}
			sum += x.sectors
		}
		if sum <= 0 || sum > maxSectors || sum != d.sectors {
			t.Fatalf("%d sectors", sum)
		}
	})
}

// FuzzGrain decompresses any data and compares the result with the standard library's.
func FuzzGrain(f *testing.F) {
	for _, level := range []int{-2, 0, 1, 6, 9} {
		z := zlibData(imagetest.Noise(3000, 1), level)
		f.Add(z, uint16(3000), true)
		f.Add(z, uint16(2999), true)
		f.Add(append(z, "more"...), uint16(4096), false)
		f.Add(z[:len(z)-2], uint16(3000), true)
	}
	f.Add(zlibData(make([]byte, 70_000), 9), uint16(4096), true)
	f.Fuzz(func(t *testing.T, src []byte, size uint16, exact bool) {
		dst := make([]byte, size)
		n, err := inflateGrain(dst, src, exact)
		if n < 0 || n > len(dst) {
			t.Fatalf("%d bytes", n)
		}
		var want []byte
		z, wantErr := zlib.NewReader(bytes.NewReader(src))
		if wantErr == nil {
			want, wantErr = io.ReadAll(io.LimitReader(z, int64(size)+1))
		}
		switch {
		case err == nil && wantErr == nil && len(want) <= int(size) && !bytes.Equal(dst[:n], want):
			t.Fatalf("got %d bytes, want %d, or the data differs", n, len(want))
		case err == nil && !bytes.Equal(dst[:n], want[:min(n, len(want))]):
			t.Fatalf("the data before the error %v differs", wantErr)
		case err != nil && wantErr == nil && len(want) <= int(size):
			t.Fatalf("got error %v, want %d bytes", err, len(want))
		case err == nil && !exact && (wantErr != nil || len(want) > int(size)):
			t.Fatalf("no error, want one: the standard library returns %d bytes and %v", len(want), wantErr)
		}
	})
}
