package vmdk_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/luksimg/luksimg/image"
	"github.com/luksimg/luksimg/internal/faultfs"
	"github.com/luksimg/luksimg/internal/imagetest"
	"github.com/luksimg/luksimg/internal/need"
	"github.com/luksimg/luksimg/vmdk"
)

// made returns the output of Create, and checks that CreateInOrder writes the same bytes.
func made(t testing.TB, src image.Source, o vmdk.CreateOptions) []byte {
	t.Helper()
	d := faultfs.New()
	d.WriteFile("a", nil)
	if _, err := vmdk.Create(context.Background(), d.Open("a"), src, o); err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	r, err := vmdk.CreateInOrder(context.Background(), &b, src, o)
	if err != nil {
		t.Fatal(err)
	}
	file := d.ReadFile("a")
	if !bytes.Equal(b.Bytes(), file) || r.FileSize != int64(len(file)) {
		t.Errorf("CreateInOrder wrote %d bytes, Create %d, or the data differs", b.Len(), len(file))
	}
	return file
}

// TestCreateDeterministic checks that the number of workers does not change the image, and that random
// content IDs differ.
func TestCreateDeterministic(t *testing.T) {
	src := imagetest.NewPatchy(34<<20, 4)
	first := made(t, src, vmdk.CreateOptions{CID: 0x12345678, Jobs: 1})
	for _, jobs := range []int{2, 5} {
		if got := made(t, src, vmdk.CreateOptions{CID: 0x12345678, Jobs: jobs}); !bytes.Equal(got, first) {
			t.Errorf("the image of %d workers differs", jobs)
		}
	}
	seen := map[string]bool{}
	for range 8 {
		r, err := vmdk.CreateInOrder(t.Context(), io.Discard, imagetest.Spots{Bytes: 512}, vmdk.CreateOptions{})
		if err != nil {
			t.Fatal(err)
		}
		seen[r.CID] = true
	}
	if len(seen) < 8 || seen["00000000"] || seen["ffffffff"] {
		t.Errorf("content IDs %v", seen)
	}
}

// TestCreateNoise writes incompressible grains. Each occupies one additional sector.
func TestCreateNoise(t *testing.T) {
	const grains = 40
	src := imagetest.Noise(grains<<16, 9)
	file := made(t, bytes.NewReader(src), vmdk.CreateOptions{CID: 1})
	if most := int64(grains+3) * (64<<10 + 512); int64(len(file)) > most {
		t.Errorf("%d bytes, want at most %d", len(file), most)
	}
	d, err := vmdk.Open(t.Context(), bytes.NewReader(file), int64(len(file)), vmdk.Options{})
	if err != nil {
		t.Fatal(err)
	}
	imagetest.Source(t, d, src)
}

// TestCreateHuge creates huge disks with little data. The cost must depend on the data.
func TestCreateHuge(t *testing.T) {
	for _, size := range []int64{2 << 40, 128 << 40} {
		text := func(b byte) string { return string(bytes.Repeat([]byte{b}, 512)) }
		src := imagetest.Spots{Bytes: size, Data: map[int64]string{0: text('a'), 5<<30 + 512: text('b'), size - 70_144: text('c'), size - 512: text('d')}}
		var done atomic.Int64
		dir := t.TempDir()
		r := create(t, dir, src, vmdk.CreateOptions{Progress: func(n int64) { done.Add(n) }})
		if done.Load() != size || r.AllocatedGrains != 4 || r.VirtualSize != size || r.FileSize > 18<<20 {
			t.Errorf("%+v, progress %d", r, done.Load())
		}
		d, err := openFile(t, dir, "a.vmdk", vmdk.Options{})
		if err != nil {
			t.Fatal(err)
		}
		if d.Size() != size {
			t.Errorf("the disk has %d bytes, want %d", d.Size(), size)
		}
		checkClean(t, d)
		reads := []string{"-r", "-f", "vmdk", "-c", "read -P 0 1M 1M"}
		for off, want := range src.Data {
			got := make([]byte, 1024)
			if _, err := d.ReadAt(got[:min(1024, size-off)], off); err != nil || string(got) != want+string(make([]byte, 512)) {
				t.Errorf("at %d: %q, %v", off, got, err)
			}
			reads = append(reads, "-c", fmt.Sprintf("read -P %d %d 512", want[0], off))
		}
		if size == 2<<40 && !testing.Short() {
			need.Program(t, "qemu-io")
			if out := need.Run(t, dir, "qemu-io", append(reads, "a.vmdk")...); strings.Contains(out, "failed") || strings.Count(out, "read 512/512") != 4 {
				t.Error(out)
			}
		}
	}
}

func TestCreateRefuses(t *testing.T) {
	for _, c := range []struct {
		size int64
		o    vmdk.CreateOptions
		want error
	}{
		{0, vmdk.CreateOptions{}, nil},
		{512, vmdk.CreateOptions{CID: 1<<32 - 1}, nil},
		{128<<40 + 1, vmdk.CreateOptions{}, image.ErrTooLarge},
	} {
		var b bytes.Buffer
		_, err := vmdk.CreateInOrder(t.Context(), &b, imagetest.Spots{Bytes: c.size}, c.o)
		if err == nil || b.Len() > 0 || c.want != nil && !errors.Is(err, c.want) {
			t.Errorf("%d bytes, %+v: %v, %d bytes written", c.size, c.o, err, b.Len())
		}
	}
}
