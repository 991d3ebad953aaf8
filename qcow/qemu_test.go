package qcow_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/luksimg/luksimg/image"
	"github.com/luksimg/luksimg/internal/need"
	"github.com/luksimg/luksimg/qcow"
	"github.com/luksimg/luksimg/vhd"
)

// resolver opens what an image in dir names, in that folder only.
func resolver(t testing.TB, dir string, key []byte) func(qcow.Ref) (image.Source, error) {
	return func(ref qcow.Ref) (image.Source, error) {
		if filepath.Base(ref.Name) != ref.Name {
			return nil, fmt.Errorf("%q is not in the folder of the image", ref.Name)
		}
		f, err := os.Open(filepath.Join(dir, ref.Name))
		if err != nil {
			return nil, err
		}
		t.Cleanup(func() { f.Close() })
		raw, err := image.NewFile(f)
		if err != nil || ref.DataFile || ref.Format == "raw" {
			return raw, err
		}
		if ref.Format == "vpc" {
			return vhd.Open(raw, raw.Size(), vhd.Options{})
		}
		opts := ref.Options()
		opts.ID, opts.Key = ref.Name, key
		return qcow.Open(t.Context(), raw, raw.Size(), opts)
	}
}

// openFile opens an image with holes of the file seen.
func openFile(t testing.TB, dir, name string, opts qcow.Options) (*qcow.Disk, error) {
	t.Helper()
	f, err := os.Open(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	raw, err := image.NewFile(f)
	if err != nil {
		t.Fatal(err)
	}
	opts.Resolve, opts.ID = resolver(t, dir, opts.Key), name
	return qcow.Open(t.Context(), raw, raw.Size(), opts)
}

// compareDisk reads a disk in all ways and compares it with what it must be.
func compareDisk(t *testing.T, d *qcow.Disk, want []byte) {
	t.Helper()
	if d.Size() != int64(len(want)) {
		t.Fatalf("size %d, want %d", d.Size(), len(want))
	}
	got := make([]byte, len(want)+1)
	if n, err := d.ReadAt(got, 0); n != len(want) || err != io.EOF {
		t.Fatalf("ReadAt of all = %d, %v", n, err)
	}
	if !bytes.Equal(got[:len(want)], want) {
		for i := range want {
			if got[i] != want[i] {
				t.Fatalf("byte %d is %#x, want %#x", i, got[i], want[i])
			}
		}
	}
	rnd := rand.New(rand.NewPCG(3, 4))
	if len(want) > 0 {
		for range 100 {
			off := rnd.IntN(len(want))
			n := min(rnd.IntN(1<<rnd.IntN(20)+1), len(want)-off)
			p := make([]byte, n)
			if got, err := d.ReadAt(p, int64(off)); got != n || err != nil || !bytes.Equal(p, want[off:off+n]) {
				t.Fatalf("ReadAt(%d bytes, %d) = %d, %v, or other bytes", n, off, got, err)
			}
		}
	}
	at := int64(0)
	for e, err := range image.Extents(d, 0, d.Size()) {
		if err != nil || e.Offset != at || e.Length <= 0 {
			t.Fatalf("extent %+v at %d: %v", e, at, err)
		}
		at = e.End()
		if e.Kind != image.Data && bytes.Count(want[e.Offset:at], []byte{0}) != int(e.Length) {
			t.Fatalf("extent %+v does not read as zeros", e)
		}
	}
	if at != d.Size() {
		t.Fatalf("extents end at %d", at)
	}
}

// checkClean checks that Check finds what qemu-img check finds in a good image:
// nothing.
func checkClean(t *testing.T, d *qcow.Disk) {
	t.Helper()
	r, err := d.Check(context.Background())
	if err != nil || r.Corruptions != 0 || r.Leaks != 0 {
		t.Errorf("Check: %+v, %v", r, err)
	}
	if _, err := d.Info(context.Background()); err != nil {
		t.Errorf("Info: %v", err)
	}
}

// writes are commands for qemu-io that leave a bit of everything on a disk of size
// bytes.
func writes(size int64, seed uint64, commands string) []string {
	rnd := rand.New(rand.NewPCG(seed, 7))
	var args []string
	for i := range 24 {
		off := rnd.Int64N(size) &^ 511
		n := min(int64(1)<<rnd.IntN(19)+511, size-off) &^ 511
		if n == 0 {
			continue
		}
		switch commands[i%len(commands)] {
		case 'w':
			args = append(args, "-c", fmt.Sprintf("write -P %d %d %d", 1+rnd.IntN(255), off, n))
		case 'z':
			args = append(args, "-c", fmt.Sprintf("write -z %d %d", off, n))
		case 'u':
			args = append(args, "-c", fmt.Sprintf("write -z -u %d %d", off, n))
		case 'd':
			args = append(args, "-c", fmt.Sprintf("discard %d %d", off, n))
		}
	}
	return args
}

// source makes a raw disk with noise, text and holes.
func source(t testing.TB, dir, name string, size int64, seed uint64) []byte {
	t.Helper()
	b := make([]byte, size)
	rnd := rand.New(rand.NewPCG(seed, 11))
	for at := int64(0); at < size; {
		n := min(rnd.Int64N(200_000)+1, size-at)
		switch rnd.IntN(4) {
		case 0:
			for i := range n {
				b[at+i] = byte(rnd.Uint32())
			}
		case 1, 2:
			for i := range n {
				b[at+i] = "the quick brown fox\n"[min(rnd.IntN(20), rnd.IntN(20))]
			}
		}
		at += n
	}
	if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
		t.Fatal(err)
	}
	return b
}

func rawOf(t testing.TB, dir string, args ...string) []byte {
	t.Helper()
	need.Run(t, dir, "qemu-img", append(append([]string{"convert", "-O", "raw"}, args...), "out.raw")...)
	b, err := os.ReadFile(filepath.Join(dir, "out.raw"))
	if err != nil {
		t.Fatal(err)
	}
	return b
}
