package qcow_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/luksimg/luksimg/image"
	"github.com/luksimg/luksimg/internal/imagetest"
	"github.com/luksimg/luksimg/internal/need"
	"github.com/luksimg/luksimg/luks"
	"github.com/luksimg/luksimg/qcow"
)

func TestQEMUBacking(t *testing.T) {
	need.Judge(t, "qemu-img", "qemu-io")
	type layer struct {
		format, opts string
		size         int64
	}
	for i, chain := range [][]layer{
		{{"raw", "", 3<<20 + 512}, {"qcow2", "cluster_size=512", 4 << 20}},
		{{"raw", "", 5<<20 + 1024}, {"qcow2", "cluster_size=2M", 3<<20 + 512}},
		{{"qcow2", "cluster_size=512", 4 << 20}, {"qcow2", "cluster_size=64k", 4 << 20}},
		{{"qcow2", "cluster_size=1M", 2 << 20}, {"qcow2", "cluster_size=4k", 1<<20 + 512}, {"qcow2", "cluster_size=32k,extended_l2=on", 5 << 20}},
		{{"qcow2", "compat=0.10", 5 << 20}, {"qcow2", "extended_l2=on", 4 << 20}, {"qcow2", "compat=0.10,cluster_size=8k", 4<<20 + 512}, {"qcow2", "", 6 << 20}},
		{{"raw", "", 512}, {"qcow2", "extended_l2=on,cluster_size=2M", 4 << 20}},
	} {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			imagetest.Mixed(t, dir, "0", chain[0].size, uint64(i))
			if chain[0].format == "qcow2" {
				need.Run(t, dir, "qemu-img", "convert", "-c", "-f", "raw", "-O", "qcow2", "-o", "compat=1.1,"+chain[0].opts, "0", "1")
				os.Rename(filepath.Join(dir, "1"), filepath.Join(dir, "0"))
			}
			for j, l := range chain[1:] {
				name, base := fmt.Sprint(j+1), fmt.Sprint(j)
				args := []string{"create", "-q", "-f", "qcow2", "-b", base, "-F", chain[j].format}
				if l.opts != "" {
					args = append(args, "-o", l.opts)
				}
				need.Run(t, dir, "qemu-img", append(args, name, fmt.Sprint(l.size))...)
				kinds := "wwzu"
				if strings.Contains(l.opts, "0.10") {
					kinds = "w"
				}
				need.Run(t, dir, "qemu-io", append(writes(l.size, uint64(j+i), kinds)[:12], "-f", "qcow2", name)...)
			}
			last := fmt.Sprint(len(chain) - 1)
			d, err := openFile(t, dir, last, qcow.Options{})
			if err != nil {
				t.Fatal(err)
			}
			imagetest.Source(t, d, rawOf(t, dir, "-f", "qcow2", last))
			checkClean(t, d)
		})
	}
}

func TestQEMUDataFile(t *testing.T) {
	need.Judge(t, "qemu-img", "qemu-io")
	for _, opts := range []string{"data_file_raw=on", "data_file_raw=off", "data_file_raw=on,cluster_size=4k", "data_file_raw=off,extended_l2=on"} {
		t.Run(opts, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			const size = 3<<20 + 512
			need.Run(t, dir, "qemu-img", "create", "-q", "-f", "qcow2", "-o", "data_file=data,"+opts, "a", fmt.Sprint(size))
			need.Run(t, dir, "qemu-io", append(writes(size, 8, "wwzu"), "-f", "qcow2", "a")...)
			d, err := openFile(t, dir, "a", qcow.Options{})
			if err != nil {
				t.Fatal(err)
			}
			imagetest.Source(t, d, rawOf(t, dir, "-f", "qcow2", "a"))
			checkClean(t, d)
			b, err := os.ReadFile(filepath.Join(dir, "a"))
			if err != nil {
				t.Fatal(err)
			}
			var refused *image.RefusedError
			if _, err := qcow.Open(t.Context(), bytes.NewReader(b), int64(len(b)), qcow.Options{}); !errors.As(err, &refused) || refused.Ref.What != "external data file" || refused.Ref.Name() != "data" {
				t.Errorf("without a resolver: %v", err)
			}
		})
	}
}

func TestQEMUEncrypted(t *testing.T) {
	need.Judge(t, "qemu-img", "qemu-io")
	for _, opts := range []string{
		"encrypt.format=aes", "encrypt.format=aes,cluster_size=512",
		"encrypt.format=luks,encrypt.iter-time=10", "encrypt.format=luks,encrypt.iter-time=10,cluster_size=512",
		"encrypt.format=luks,encrypt.iter-time=10,cluster_size=2M", "encrypt.format=luks,encrypt.iter-time=10,encrypt.cipher-alg=aes-128,extended_l2=on",
		"encrypt.format=luks,encrypt.iter-time=10,preallocation=metadata",
	} {
		t.Run(opts, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			const size = 3<<20 + 512
			const secret = "secret,id=s,data=correct horse"
			need.Run(t, dir, "qemu-img", "create", "-q", "-f", "qcow2", "--object", secret, "-o", "encrypt.key-secret=s,"+opts, "a", fmt.Sprint(size))
			img := "driver=qcow2,encrypt.key-secret=s,file.filename=a"
			args := append([]string{"--object", secret}, writes(size, 9, "wwzu")...)
			need.Run(t, dir, "qemu-io", append(args, "--image-opts", img)...)
			want := rawOf(t, dir, "--object", secret, "--image-opts", img)
			d, err := openFile(t, dir, "a", qcow.Options{Key: []byte("correct horse")})
			if err != nil {
				t.Fatal(err)
			}
			imagetest.Source(t, d, want)
			checkClean(t, d)

			if d, err = openFile(t, dir, "a", qcow.Options{}); err != nil {
				t.Fatal(err)
			}
			if _, err := d.ReadAt(make([]byte, 1), 0); !errors.Is(err, image.ErrLocked) {
				t.Errorf("locked: %v", err)
			}
			if strings.Contains(opts, "luks") {
				if err := d.Unlock(t.Context(), []byte("wrong")); !errors.Is(err, luks.ErrPassphrase) {
					t.Errorf("wrong passphrase: %v", err)
				}
			}
			if err := d.Unlock(t.Context(), []byte("correct horse")); err != nil {
				t.Fatal(err)
			}
			imagetest.Source(t, d, want)
			d.Close()
			if _, err := d.ReadAt(make([]byte, 1), 0); !errors.Is(err, image.ErrLocked) {
				t.Errorf("closed: %v", err)
			}
		})
	}
}
