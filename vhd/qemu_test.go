package vhd

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/luksimg/luksimg/internal/need"
)

// TestQEMUReadsCreated compares the size and the bytes that qemu-img reads from our disks. In an
// encrypted disk these are ciphertext, and zeros where no block is allocated.
func TestQEMUReadsCreated(t *testing.T) {
	need.Judge(t, "qemu-img")
	key := random(64)
	for name, opts := range map[string]CreateOptions{
		"dynamic":          {},
		"dynamic, 4 KiB":   {BlockSize: 4096},
		"dynamic, 512 KiB": {BlockSize: 512 << 10},
		"dynamic, 8 MiB":   {BlockSize: 8 << 20},
		"fixed":            {Type: Fixed},
		"encrypted":        {Key: key},
	} {
		for _, size := range []int64{512, 1 << 20, 2<<20 + 512, 9440768} {
			t.Run(fmt.Sprintf("%s/%d", name, size), func(t *testing.T) {
				t.Parallel()
				guest := patchy(size, 4)
				file, r := create(t, bytes.NewReader(guest), opts)
				guest = append(guest, make([]byte, r.VirtualSize-size)...)
				if opts.Key != nil {
					guest = ciphertext(file, r.VirtualSize)
				}
				dir := t.TempDir()
				testDisk, raw := filepath.Join(dir, "disk.vhd"), filepath.Join(dir, "disk.raw")
				for name, b := range map[string][]byte{testDisk: file, raw: guest} {
					if err := os.WriteFile(name, b, 0o600); err != nil {
						t.Fatal(err)
					}
				}
				var info struct {
					Format      string `json:"format"`
					VirtualSize int64  `json:"virtual-size"`
				}
				if err := json.Unmarshal([]byte(need.Run(t, "", "qemu-img", "info", "-f", "vpc", "--output=json", testDisk)), &info); err != nil {
					t.Fatal(err)
				}
				if info.Format != "vpc" || info.VirtualSize != r.VirtualSize {
					t.Errorf("%+v, want %d bytes", info, r.VirtualSize)
				}
				need.Run(t, "", "qemu-img", "compare", "-f", "vpc", "-F", "raw", testDisk, raw)
				back := filepath.Join(dir, "back.raw")
				need.Run(t, "", "qemu-img", "convert", "-f", "vpc", "-O", "raw", testDisk, back)
				if got, err := os.ReadFile(back); err != nil || !bytes.Equal(got, guest) {
					t.Errorf("converted: %d bytes, want %d, or the data differs; %v", len(got), len(guest), err)
				}
			})
		}
	}
}

// ciphertext returns the bytes of the blocks in one of our files, without decryption.
func ciphertext(file []byte, size int64) []byte {
	const block = 2 << 20
	b := make([]byte, size)
	for i := int64(0); i*block < size; i++ {
		if e := be.Uint32(tableEntry(file, int(i))); e != absent {
			copy(b[i*block:], file[int64(e)*sectorSize+sectorSize:][:block])
		}
	}
	return b
}

// TestGeometryOfQEMU compares geometries with those that QEMU derives, for sizes that a geometry
// can describe.
func TestGeometryOfQEMU(t *testing.T) {
	need.Judge(t, "qemu-img")
	for _, size := range []string{"1M", "3M", "100M", "500M", "1G", "2G", "31G", "127G"} {
		name := filepath.Join(t.TempDir(), "disk.vhd")
		need.Run(t, "", "qemu-img", "create", "-f", "vpc", "-o", "subformat=dynamic", name, size)
		file, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		d := open(t, bytes.NewReader(file), int64(len(file)), Options{})
		foot := file[len(file)-footerSize:]
		if got, want := geometry(d.Size()), be.Uint32(foot[offGeometry:]); got != want || d.Size() != d.describe().CHSSize {
			t.Errorf("%s, %d bytes: %#x, want %#x", size, d.Size(), got, want)
		}
	}
}

// TestReadQEMUDisks reads disks that qemu-img makes, compares them with its reads, and checks them.
func TestReadQEMUDisks(t *testing.T) {
	need.Judge(t, "qemu-img")
	for _, opts := range []string{"subformat=dynamic", "subformat=dynamic,force_size=on", "subformat=fixed", "subformat=fixed,force_size=on"} {
		t.Run(opts, func(t *testing.T) {
			dir := t.TempDir()
			raw, testDisk, back := filepath.Join(dir, "disk.raw"), filepath.Join(dir, "disk.vhd"), filepath.Join(dir, "back.raw")
			if err := os.WriteFile(raw, patchy(5<<20, 6), 0o600); err != nil {
				t.Fatal(err)
			}
			need.Run(t, "", "qemu-img", "convert", "-f", "raw", "-O", "vpc", "-o", opts, raw, testDisk)
			need.Run(t, "", "qemu-img", "convert", "-f", "vpc", "-O", "raw", testDisk, back)
			file, err := os.ReadFile(testDisk)
			if err != nil {
				t.Fatal(err)
			}
			want, err := os.ReadFile(back)
			if err != nil {
				t.Fatal(err)
			}
			d := open(t, bytes.NewReader(file), int64(len(file)), Options{})
			got, err := io.ReadAll(io.NewSectionReader(d, 0, d.Size()))
			if err != nil || !bytes.Equal(got, want) {
				t.Errorf("%d bytes, want %d, or the data differs; %v", len(got), len(want), err)
			}
			if c := check(t, file); c.Corruptions != 0 || c.Leaks != 0 {
				t.Errorf("%+v", c)
			}
		})
	}
}
