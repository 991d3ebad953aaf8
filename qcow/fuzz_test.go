package qcow

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"testing"

	"github.com/luksimg/luksimg/image"
	"github.com/luksimg/luksimg/internal/imagetest"
	"github.com/luksimg/luksimg/luks"
)

// FuzzOpen opens, describes, checks and reads arbitrary files. Bit 0 of flags supplies a backing or
// data file of 3000 bytes, bit 1 opens a snapshot, bit 2 supplies a key.
func FuzzOpen(f *testing.F) {
	for _, m := range append(fuzzed(), img{size: 0, exts: ext(extFeatureNames, "\x00\x05future"+string(make([]byte, 40)))}) {
		w := m.build()
		f.Add(w.file, byte(0))
		f.Add(w.file, byte(1|2))
		f.Add(w.file[:len(w.file)*2/3], byte(1|4))
	}
	aes := img{size: 2000, kinds: "d"}.build().file
	be.PutUint32(aes[offCryptMethod:], cryptAES)
	f.Add(aes, byte(4))
	f.Fuzz(func(t *testing.T, file []byte, flags byte) {
		var opts Options
		if flags&1 != 0 {
			opts.Resolve = func(image.Ref) (image.Source, error) { return bytes.NewReader(make([]byte, 3000)), nil }
		}
		if flags&2 != 0 {
			opts.Snapshot = "1"
		}
		if flags&4 != 0 {
			opts.Key = []byte("key")
			opts.KeyLimits = luks.OpenOptions{MaxWork: 1000}
		}
		fuzzOpen(t, file, opts)
	})
}

// FuzzRead reads a range of an arbitrary file and lists its extents.
func FuzzRead(f *testing.F) {
	for i, m := range fuzzed() {
		f.Add(m.build().file, int64(100*i), int64(700))
		f.Add(m.build().file, int64(-1), int64(1)<<62)
	}
	f.Fuzz(func(t *testing.T, file []byte, off, n int64) {
		d, err := Open(t.Context(), bytes.NewReader(file), int64(len(file)), fuzzOptions())
		if err != nil {
			if !expected(err) {
				t.Fatalf("unexpected kind of error: %v", err)
			}
			return
		}
		checkRange(t, d, off, n)
	})
}

// FuzzExtents overwrites one word of a valid image. More of these inputs get past Open than
// arbitrary files do.
func FuzzExtents(f *testing.F) {
	var files [][]byte
	for i, m := range fuzzed() {
		w := m.build()
		files = append(files, w.file)
		f.Add(uint8(i), uint32(w.l1), uint64(1)<<63|1<<40, int64(0), int64(1000))
		if len(w.l2) > 0 {
			f.Add(uint8(i), uint32(w.l2[0]), uint64(1)<<62|uint64(len(w.file)-100), int64(0), int64(3000))
			f.Add(uint8(i), uint32(w.l2[0]+8), uint64(1)<<32|1, int64(500), int64(1)<<40)
			f.Add(uint8(i), uint32(w.l2[0]), uint64(w.l1), int64(0), int64(1)<<62)
		}
		f.Add(uint8(i), uint32(offSize), uint64(1)<<50, int64(1)<<49, int64(1)<<50)
	}
	f.Fuzz(func(t *testing.T, which uint8, at uint32, word uint64, off, n int64) {
		file := bytes.Clone(files[int(which)%len(files)])
		be.PutUint64(file[int(at)%(len(file)-7):], word)
		d, err := Open(t.Context(), bytes.NewReader(file), int64(len(file)), fuzzOptions())
		if err != nil {
			if !expected(err) {
				t.Fatalf("unexpected kind of error: %v", err)
			}
			return
		}
		checkRange(t, d, off, n)
	})
}

// fuzzed returns the seed images. They are small, as large ones slow fuzzing down.
func fuzzed() []img {
	return []img{
		{size: 3000},
		{size: 3000, version: 2, kinds: "-dc", seed: 1},
		{size: 3000, zstd: true, kinds: "cd", seed: 2},
		{size: 3000, snapshot: true, kinds: "-zd", seed: 3},
		{size: 5000, backing: "base", kinds: "-hd", exts: ext(extBackingFormat, "raw"), seed: 4},
		{size: 2000, kinds: "-", features: incompatDataFile, exts: ext(extDataFile, "data"), seed: 5},
		{size: 40_000, bits: 14, extended: true, seed: 6},
	}
}

// fuzzOptions supplies a backing or data file of 3000 bytes and the key of an image with the old
// encryption.
func fuzzOptions() Options {
	return Options{
		Resolve:   func(image.Ref) (image.Source, error) { return bytes.NewReader(make([]byte, 3000)), nil },
		Key:       []byte("key"),
		KeyLimits: luks.OpenOptions{MaxWork: 1000},
	}
}

// checkRange lists the extents of a range, checks them, and reads the start of the range.
func checkRange(t *testing.T, d *Disk, off, n int64) {
	steps := 0
	for e, err := range d.Extents(off, n) {
		if err != nil {
			if !expected(err) {
				t.Fatalf("extents: %v", err)
			}
			break
		}
		if e.Offset < max(off, 0) || e.Length <= 0 || e.End() > d.Size() {
			t.Fatalf("extent %+v of %d bytes at %d of %d", e, n, off, d.Size())
		}
		if steps++; steps > 10_000 {
			break // the number of extents is unlimited
		}
	}
	off = min(max(off, 0), d.Size())
	imagetest.HostileRange(t, d, off, min(max(n, 0), 1<<17, d.Size()-off), expected)
}

func fuzzOpen(t *testing.T, file []byte, opts Options) {
	r, size := bytes.NewReader(file), int64(len(file))
	var d *Disk
	var err error
	// Open needs the first cluster, the L1 table and the snapshots, which grow by appending.
	imagetest.Bounded(t, 20*uint64(size)+256<<10, func() { d, err = Open(t.Context(), r, size, opts) })
	detected := Detect(r, size)
	if err != nil {
		if !expected(err) {
			t.Fatalf("unexpected kind of error: %v", err)
		}
		return
	}
	if !detected {
		t.Fatal("Open accepts a file that Detect does not")
	}
	ctx := context.Background()
	i, err := d.Info(ctx)
	if err != nil && !expected(err) {
		t.Fatalf("Info: %v", err)
	}
	if _, err := json.Marshal(i); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Check(ctx); err != nil {
		t.Fatalf("Check: %v", err)
	}
	imagetest.Hostile(t, d, 1<<18, expected)
}

// expected reports whether err is one of the documented errors for a bad file.
func expected(err error) bool {
	var refused *image.RefusedError
	return errors.Is(err, image.ErrFormat) || errors.Is(err, image.ErrUnsupported) || errors.Is(err, ErrSnapshot) ||
		errors.Is(err, image.ErrLocked) || errors.Is(err, luks.ErrPassphrase) || errors.Is(err, luks.ErrLimit) ||
		errors.Is(err, io.ErrUnexpectedEOF) || errors.As(err, &refused)
}
