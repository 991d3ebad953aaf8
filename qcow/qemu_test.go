package qcow_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/luksimg/luksimg/image"
	"github.com/luksimg/luksimg/internal/imagetest"
	"github.com/luksimg/luksimg/internal/need"
	"github.com/luksimg/luksimg/qcow"
	"github.com/luksimg/luksimg/vhd"
)

// resolver opens the files that an image in dir names, only in that folder.
func resolver(t testing.TB, dir string, key []byte) func(image.Ref) (image.Source, error) {
	return func(ref image.Ref) (image.Source, error) {
		raw, err := imagetest.File(t, dir, ref.Name())
		if err != nil || ref.What == "external data file" || ref.Format == "raw" {
			return raw, err
		}
		if ref.Format == "vpc" {
			return vhd.Open(context.Background(), raw, raw.Size(), vhd.Options{})
		}
		opts := ref.Options.(qcow.Options)
		opts.ID, opts.Key = ref.Name(), key
		return qcow.Open(t.Context(), raw, raw.Size(), opts)
	}
}

// openFile opens an image as an image.File, which reports holes.
func openFile(t testing.TB, dir, name string, opts qcow.Options) (*qcow.Disk, error) {
	t.Helper()
	raw, err := imagetest.File(t, dir, name)
	if err != nil {
		t.Fatal(err)
	}
	opts.Resolve, opts.ID = resolver(t, dir, opts.Key), name
	return qcow.Open(t.Context(), raw, raw.Size(), opts)
}

// checkClean checks that Check reports no problems.
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

// writes returns commands for qemu-io that write data, zeros and discards to a disk of size bytes.
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

func rawOf(t testing.TB, dir string, args ...string) []byte {
	t.Helper()
	need.Run(t, dir, "qemu-img", append(append([]string{"convert", "-O", "raw"}, args...), "out.raw")...)
	b, err := os.ReadFile(filepath.Join(dir, "out.raw"))
	if err != nil {
		t.Fatal(err)
	}
	return b
}
