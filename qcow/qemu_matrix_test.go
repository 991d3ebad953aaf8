package qcow_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/luksimg/luksimg/internal/imagetest"
	"github.com/luksimg/luksimg/internal/need"
	"github.com/luksimg/luksimg/qcow"
)

// A made describes an image that QEMU makes and changes. The test computes the expected content
// from the commands, without asking QEMU to read.
type made struct {
	name  string
	size  int64
	opts  string // options of qemu-img create or convert
	from  string // "": qemu-img create; "convert": qemu-img convert; "luks": Create
	ops   string // kinds of writes, see model
	bases []base // the nearest first
}

// A base is a backing file: its format in QEMU's notation, options and size.
type base struct {
	format, opts string
	size         int64
}

// madeMatrix returns the images that QEMU can make: all combinations of options that it supports.
func madeMatrix() (all []made) {
	add := func(m made) { all = append(all, m) }
	refcounts := []int{1, 2, 4, 8, 16, 32, 64}
	for bits := 9; bits <= 21; bits++ {
		size := int64(2<<20 + 512*(bits-8))
		add(made{name: "v2", size: size, opts: fmt.Sprintf("compat=0.10,cluster_size=%d", 1<<bits), ops: "wwzd"})
		add(made{name: "v3", size: size, opts: fmt.Sprintf("cluster_size=%d,refcount_bits=%d", 1<<bits, refcounts[bits%7]), ops: "wwzud"})
	}
	for _, cluster := range []string{"512", "4k", "64k", "2M"} {
		for _, opts := range []string{"compat=0.10", "compression_type=zlib", "compression_type=zstd"} {
			add(made{name: "compressed", size: 3<<20 + 1536, opts: opts + ",cluster_size=" + cluster, from: "convert"})
			add(made{name: "compressed, written over", size: 3<<20 + 512, opts: opts + ",cluster_size=" + cluster, from: "convert", ops: "wwz"})
		}
	}
	for bits := 14; bits <= 21; bits++ {
		add(made{name: "extended", size: 5<<20 - 512, opts: fmt.Sprintf("extended_l2=on,cluster_size=%d", 1<<bits), ops: "wwzu"})
	}
	for _, c := range []string{"16k,compression_type=zlib", "64k,compression_type=zstd", "1M,compression_type=zlib"} {
		add(made{name: "extended and compressed", size: 3 << 20, opts: "extended_l2=on,cluster_size=" + c, from: "convert", ops: "wwu"})
	}
	for _, alloc := range []string{"metadata", "falloc", "full"} {
		for _, c := range []string{"512", "64k", "2M,refcount_bits=64", "32k,extended_l2=on"} {
			if strings.Contains(c, "extended") && alloc != "metadata" {
				continue
			}
			add(made{name: "preallocated", size: 2<<20 + 1024, opts: "preallocation=" + alloc + ",cluster_size=" + c, ops: "wzu"})
		}
	}
	for _, opts := range []string{"cluster_size=512", "cluster_size=64k", "cluster_size=64k,extended_l2=on", "cluster_size=2M"} {
		for _, b := range []base{
			{"raw", "", 1<<20 + 512}, {"raw", "", 4 << 20},
			{"qcow2", "cluster_size=1k", 2 << 20}, {"qcow2", "cluster_size=256k,extended_l2=on", 1<<20 + 1536},
			{"qcow2", "cluster_size=2M,compression_type=zstd", 5 << 20},
			{"vpc", "subformat=fixed,force_size=on", 1<<20 + 2048}, {"vpc", "subformat=dynamic,force_size=on", 5 << 20},
		} {
			add(made{name: "chain", size: 3<<20 + 512, opts: opts, ops: "wwzu", bases: []base{b}})
		}
	}
	for _, opts := range []string{"compat=0.10,cluster_size=4k", "cluster_size=512", "extended_l2=on"} {
		add(made{name: "chain of three", size: 3 << 20, opts: opts, ops: "w", bases: []base{{"qcow2", "cluster_size=32k,extended_l2=on", 2<<20 + 512}, {"raw", "", 4 << 20}}})
		add(made{name: "chain of three", size: 3 << 20, opts: opts, ops: "w", bases: []base{{"qcow2", "cluster_size=512", 4 << 20}, {"vpc", "subformat=dynamic,force_size=on", 3 << 20}}})
	}
	for _, raw := range []string{"on", "off"} {
		for _, c := range []string{"512", "64k", "64k,extended_l2=on"} {
			add(made{name: "data file", size: 2<<20 + 512, opts: "data_file=data,data_file_raw=" + raw + ",cluster_size=" + c, ops: "wzu"})
		}
	}
	for _, c := range []string{"512", "64k", "2M"} {
		add(made{name: "aes", size: 2 << 20, opts: "encrypt.format=aes,encrypt.key-secret=s,cluster_size=" + c, ops: "wzu"})
		add(made{name: "luks", size: 2<<20 + 512, opts: c, from: "luks", ops: "wzu"})
	}
	for _, opts := range []string{"cluster_size=512", "extended_l2=on,encrypt.cipher-alg=aes-128"} {
		add(made{name: "luks of qemu", size: 2 << 20, opts: "encrypt.format=luks,encrypt.key-secret=s,encrypt.iter-time=10," + opts, ops: "wzu"})
	}
	for _, size := range []int64{512, 1536, 65024, 65536, 66048, 33<<20 + 512} {
		for _, c := range []string{"512", "64k", "2M"} {
			add(made{name: "size", size: size, opts: "cluster_size=" + c, ops: "wz"})
		}
	}
	return all
}

// clusterOf returns the cluster size in options of qemu-img.
func clusterOf(opts string) int64 {
	for _, o := range strings.Split(opts, ",") {
		if v, ok := strings.CutPrefix(o, "cluster_size="); ok {
			var n int64
			var unit string
			fmt.Sscanf(v, "%d%s", &n, &unit)
			return n << map[string]int{"": 0, "k": 10, "M": 20}[unit]
		}
	}
	return 64 << 10
}

// model returns commands for qemu-io and applies them to guest.
func model(guest []byte, ops string, cluster int64, seed uint64) []string {
	var args []string
	rnd := rand.New(rand.NewPCG(seed, 17))
	size := int64(len(guest))
	for i := range 16 {
		off := rnd.Int64N(size) &^ 511
		n := min(int64(1)<<rnd.IntN(19)+511, size-off) &^ 511
		op, value := ops[i%len(ops)], byte(0)
		if op == 'd' { // discard only works on whole clusters
			off &^= cluster - 1
			if n = cluster; off+n > size {
				continue
			}
		}
		switch op {
		case 'w':
			value = byte(1 + rnd.IntN(255))
			args = append(args, "-c", fmt.Sprintf("write -P %d %d %d", value, off, n))
		case 'z':
			args = append(args, "-c", fmt.Sprintf("write -z %d %d", off, n))
		case 'u':
			args = append(args, "-c", fmt.Sprintf("write -z -u %d %d", off, n))
		case 'd':
			args = append(args, "-c", fmt.Sprintf("discard %d %d", off, n))
		}
		copy(guest[off:off+n], bytes.Repeat([]byte{value}, int(n)))
	}
	return args
}

// overlay returns the part of the lower disk that a disk of size bytes shows.
func overlay(under []byte, size int64) []byte {
	guest := make([]byte, size)
	copy(guest, under)
	return guest
}

// makeBase makes the backing file b[0], called "1" in dir, and those below it. It returns the disk
// that a guest sees.
func makeBase(t *testing.T, dir string, b []base, depth int, seed uint64) []byte {
	t.Helper()
	name := fmt.Sprint(depth)
	if len(b) > 1 {
		guest := overlay(makeBase(t, dir, b[1:], depth+1, seed), b[0].size)
		need.Run(t, dir, "qemu-img", "create", "-q", "-f", b[0].format, "-o", b[0].opts, "-b", fmt.Sprint(depth+1), "-F", b[1].format, name, fmt.Sprint(b[0].size))
		need.Run(t, dir, "qemu-io", append(model(guest, "wwz", clusterOf(b[0].opts), seed+3), "-f", b[0].format, name)...)
		return guest
	}
	guest := imagetest.Mixed(t, dir, "raw", b[0].size, seed)
	if b[0].format == "raw" {
		if err := os.Rename(filepath.Join(dir, "raw"), filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
		return guest
	}
	args := []string{"convert", "-f", "raw", "-O", b[0].format, "-o", b[0].opts, "raw", name}
	if strings.Contains(b[0].opts, "compression") {
		args = append(args[:1], append([]string{"-c"}, args[1:]...)...)
	}
	need.Run(t, dir, "qemu-img", args...)
	return guest
}

// build makes the image "a" in dir and returns the disk that a guest sees.
func (m made) build(t *testing.T, dir string, seed uint64) []byte {
	t.Helper()
	var guest []byte
	img, object := "driver=qcow2,discard=unmap,file.filename=a", []string(nil)
	cluster := clusterOf(m.opts)
	switch {
	case m.from == "luks":
		guest = imagetest.Mixed(t, dir, "src", m.size, seed)
		cluster = clusterOf("cluster_size=" + m.opts)
		create(t, dir, bytes.NewReader(guest), qcow.CreateOptions{ClusterSize: cluster, Passphrase: []byte(createKey), LUKS: cheap})
	case m.from == "convert":
		guest = imagetest.Mixed(t, dir, "src", m.size, seed)
		need.Run(t, dir, "qemu-img", "convert", "-c", "-f", "raw", "-O", "qcow2", "-o", m.opts, "src", "a")
	default:
		args := []string{"create", "-q", "-f", "qcow2", "-o", m.opts}
		if len(m.bases) > 0 {
			guest = makeBase(t, dir, m.bases, 1, seed)
			args = append(args, "-b", "1", "-F", m.bases[0].format)
		}
		guest = overlay(guest, m.size)
		if strings.Contains(m.opts, "key-secret") {
			args = append(args, "--object", createSecret)
		}
		need.Run(t, dir, "qemu-img", append(args, "a", fmt.Sprint(m.size))...)
	}
	if m.encrypted() {
		img, object = createImg, []string{"--object", createSecret}
	}
	if m.ops != "" {
		args := append(object, model(guest, m.ops, cluster, seed+1)...)
		need.Run(t, dir, "qemu-io", append(args, "--image-opts", img)...)
	}
	return guest
}

func (m made) encrypted() bool { return m.from == "luks" || strings.Contains(m.opts, "key-secret") }

// TestQEMUMatrix reads each image and compares the hash of the disk with the expected one.
func TestQEMUMatrix(t *testing.T) {
	need.Judge(t, "qemu-img", "qemu-io")
	all := madeMatrix()
	if len(all) < 130 {
		t.Errorf("%d images", len(all))
	}
	for i, m := range all {
		t.Run(fmt.Sprintf("%d %s/%s", i, m.name, m.opts), func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			want := m.build(t, dir, uint64(i)+100)
			var opts qcow.Options
			if m.encrypted() {
				opts.Key = []byte(createKey)
			}
			d, err := openFile(t, dir, "a", opts)
			if err != nil {
				t.Fatal(err)
			}
			imagetest.Source(t, d, want)
			checkClean(t, d)
		})
	}
}
