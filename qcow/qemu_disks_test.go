package qcow_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/luksimg/luksimg/internal/imagetest"
	"github.com/luksimg/luksimg/internal/need"
	"github.com/luksimg/luksimg/qcow"
)

func TestQEMUWritten(t *testing.T) {
	need.Judge(t, "qemu-img", "qemu-io")
	for bits := 9; bits <= 21; bits++ {
		for i, opts := range []string{"compat=0.10", "compat=1.1", "compat=1.1,lazy_refcounts=on,refcount_bits=1",
			"preallocation=metadata", "preallocation=falloc", "preallocation=full,refcount_bits=64", "extended_l2=on", "extended_l2=on,preallocation=metadata"} {
			if strings.Contains(opts, "extended") && bits < 14 {
				continue
			}
			// Starting a program takes time, so only a part of the combinations runs.
			if i > 1 && bits != 9 && bits != 16 && bits != 21 && i%3 != bits%3 {
				continue
			}
			size := int64(3<<20 + 512*(bits-8))
			name := fmt.Sprintf("%d,%s", 1<<bits, opts)
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				dir := t.TempDir()
				need.Run(t, dir, "qemu-img", "create", "-q", "-f", "qcow2", "-o", fmt.Sprintf("cluster_size=%d,%s", 1<<bits, opts), "a", fmt.Sprint(size))
				kinds := "wwzud"
				if strings.Contains(opts, "0.10") {
					kinds = "wwd"
				}
				need.Run(t, dir, "qemu-io", append(writes(size, uint64(bits), kinds), "-f", "qcow2", "a")...)
				d, err := openFile(t, dir, "a", qcow.Options{})
				if err != nil {
					t.Fatal(err)
				}
				imagetest.Source(t, d, rawOf(t, dir, "-f", "qcow2", "a"))
				checkClean(t, d)
			})
		}
	}
}

func TestQEMUCompressed(t *testing.T) {
	need.Judge(t, "qemu-img", "qemu-io")
	for bits := 9; bits <= 21; bits++ {
		for _, opts := range []string{"compat=0.10", "compression_type=zlib", "compression_type=zstd", "compression_type=zstd,extended_l2=on"} {
			if strings.Contains(opts, "extended") && bits < 14 {
				continue
			}
			t.Run(fmt.Sprintf("%d,%s", 1<<bits, opts), func(t *testing.T) {
				t.Parallel()
				dir := t.TempDir()
				size := int64(5<<20 - 512*3)
				want := imagetest.Mixed(t, dir, "src", size, uint64(bits))
				need.Run(t, dir, "qemu-img", "convert", "-c", "-f", "raw", "-O", "qcow2", "-o", fmt.Sprintf("cluster_size=%d,%s", 1<<bits, opts), "src", "a")
				d, err := openFile(t, dir, "a", qcow.Options{})
				if err != nil {
					t.Fatal(err)
				}
				imagetest.Source(t, d, want)
				checkClean(t, d)
				// Overwrite some of it.
				need.Run(t, dir, "qemu-io", append(writes(size, 5, "w"), "-f", "qcow2", "a")...)
				if d, err = openFile(t, dir, "a", qcow.Options{}); err != nil {
					t.Fatal(err)
				}
				imagetest.Source(t, d, rawOf(t, dir, "-f", "qcow2", "a"))
				checkClean(t, d)
			})
		}
	}
}

func TestQEMUSizes(t *testing.T) {
	need.Judge(t, "qemu-img", "qemu-io")
	for _, size := range []int64{0, 512, 1024, 65536 - 512, 65536, 65536 + 512, 1<<20 + 512, 32<<20 + 1536} {
		for _, bits := range []int{9, 16, 21} {
			t.Run(fmt.Sprintf("%d/%d", size, 1<<bits), func(t *testing.T) {
				dir := t.TempDir()
				need.Run(t, dir, "qemu-img", "create", "-q", "-f", "qcow2", "-o", fmt.Sprintf("cluster_size=%d", 1<<bits), "a", fmt.Sprint(size))
				if size > 0 {
					need.Run(t, dir, "qemu-io", "-f", "qcow2", "-c", fmt.Sprintf("write -P 9 %d 512", size-512), "a")
				}
				d, err := openFile(t, dir, "a", qcow.Options{})
				if err != nil {
					t.Fatal(err)
				}
				want := make([]byte, size)
				if size > 0 {
					copy(want[size-512:], bytes.Repeat([]byte{9}, 512))
				}
				imagetest.Source(t, d, want)
				checkClean(t, d)
			})
		}
	}
}

func TestQEMUSnapshots(t *testing.T) {
	need.Judge(t, "qemu-img", "qemu-io")
	for _, opts := range []string{"compat=0.10", "compat=1.1", "extended_l2=on", "cluster_size=512", "cluster_size=2M"} {
		t.Run(opts, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			const size = 4<<20 + 512
			need.Run(t, dir, "qemu-img", "create", "-q", "-f", "qcow2", "-o", opts, "a", fmt.Sprint(size))
			var states [][]byte
			for i := range 4 {
				need.Run(t, dir, "qemu-io", append(writes(size, uint64(i), "w"), "-f", "qcow2", "a")...)
				states = append(states, rawOf(t, dir, "-f", "qcow2", "a"))
				need.Run(t, dir, "qemu-img", "snapshot", "-c", fmt.Sprintf("state %d", i), "a")
			}
			need.Run(t, dir, "qemu-img", "snapshot", "-d", "state 1", "a")
			need.Run(t, dir, "qemu-io", append(writes(size, 77, "w"), "-f", "qcow2", "a")...)
			d, err := openFile(t, dir, "a", qcow.Options{})
			if err != nil {
				t.Fatal(err)
			}
			imagetest.Source(t, d, rawOf(t, dir, "-f", "qcow2", "a"))
			checkClean(t, d)
			info, _ := d.Info(context.Background())
			if len(info.Snapshots) != 3 {
				t.Fatalf("%+v", info.Snapshots)
			}
			for i, s := range map[int]string{0: "state 0", 2: "3", 3: "state 3"} {
				if d, err = openFile(t, dir, "a", qcow.Options{Snapshot: s}); err != nil {
					t.Fatal(err)
				}
				imagetest.Source(t, d, states[i])
			}
			if _, err := openFile(t, dir, "a", qcow.Options{Snapshot: "state 1"}); !errors.Is(err, qcow.ErrSnapshot) {
				t.Errorf("opening a deleted snapshot: %v", err)
			}
		})
	}
}

// TestQEMUSnapshotSize reads a snapshot whose size differs from the disk's. qemu-img itself reads
// it with the size of the disk, so the test computes the expected content.
func TestQEMUSnapshotSize(t *testing.T) {
	need.Judge(t, "qemu-img", "qemu-io")
	dir := t.TempDir()
	need.Run(t, dir, "qemu-img", "create", "-q", "-f", "qcow2", "a", "1M")
	need.Run(t, dir, "qemu-io", "-f", "qcow2", "-c", "write -P 5 0 1M", "a")
	need.Run(t, dir, "qemu-img", "snapshot", "-c", "small", "a")
	need.Run(t, dir, "qemu-img", "resize", "-q", "a", "600M")
	need.Run(t, dir, "qemu-io", "-f", "qcow2", "-c", "write -P 6 599M 1M", "a")
	d, err := openFile(t, dir, "a", qcow.Options{Snapshot: "small"})
	if err != nil {
		t.Fatal(err)
	}
	imagetest.Source(t, d, bytes.Repeat([]byte{5}, 1<<20))
	checkClean(t, d)
}
