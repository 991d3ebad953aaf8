package qcow_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/luksimg/luksimg/image"
	"github.com/luksimg/luksimg/internal/imagetest"
	"github.com/luksimg/luksimg/internal/need"
	"github.com/luksimg/luksimg/luks"
	_ "github.com/luksimg/luksimg/luks/ciphers"
	"github.com/luksimg/luksimg/qcow"
)

const (
	createKey    = "correct horse"
	createSecret = "secret,id=s,data=" + createKey
	createImg    = "driver=qcow2,encrypt.key-secret=s,file.filename=a"
)

// cheap are LUKS options with a fast key derivation.
var cheap = luks.Options{KDF: luks.KDF{Iterations: 1000}}

// create creates the image a of src in dir.
func create(t testing.TB, dir string, src image.Source, o qcow.CreateOptions) *qcow.CreateResult {
	t.Helper()
	f, err := os.OpenFile(filepath.Join(dir, "a"), os.O_CREATE|os.O_RDWR|os.O_TRUNC, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r, err := qcow.Create(context.Background(), f, src, o)
	if err != nil {
		t.Fatal(err)
	}
	if s, err := f.Stat(); err != nil || s.Size() != r.FileSize {
		t.Errorf("FileSize is %d, but the file has %d bytes: %v", r.FileSize, s.Size(), err)
	}
	return r
}

// verifyQEMU checks the image a with qemu-img check and compares it with the raw file src, which
// must consist of whole sectors.
func verifyQEMU(t testing.TB, dir string, encrypted bool) {
	t.Helper()
	img, object := "driver=qcow2,file.filename=a", []string{}
	if encrypted {
		img, object = createImg, []string{"--object", createSecret}
	}
	var check struct {
		Corruptions int64
		Leaks       int64
		CheckErrors int64 `json:"check-errors"`
	}
	out := need.Run(t, dir, "qemu-img", append(append([]string{"check", "--output=json"}, object...), "--image-opts", img)...)
	if err := json.Unmarshal([]byte(out), &check); err != nil || check.Corruptions+check.Leaks+check.CheckErrors != 0 {
		t.Errorf("qemu-img check: %+v, %v", check, err)
	}
	need.Run(t, dir, "qemu-img", append(append([]string{"compare"}, object...), "--image-opts", "driver=raw,file.filename=src", img)...)
}

func TestQEMUReadsCreated(t *testing.T) {
	need.Judge(t, "qemu-img", "qemu-io")
	n := 0
	for bits := 9; bits <= 21; bits++ {
		for _, how := range []string{"", "zlib", "zstd", "luks"} {
			n++
			t.Run(fmt.Sprintf("%d,%s", 1<<bits, how), func(t *testing.T) {
				t.Parallel()
				dir := t.TempDir()
				size := int64(5<<20 + 512*(bits-7))
				want := imagetest.Mixed(t, dir, "src", size, uint64(bits))
				o := qcow.CreateOptions{ClusterSize: 1 << bits, Jobs: 3}
				if how == "luks" {
					o.Passphrase, o.LUKS = []byte(createKey), cheap
				} else {
					o.Compression = how
				}
				r := create(t, dir, bytes.NewReader(want), o)
				verifyQEMU(t, dir, how == "luks")
				d, err := openFile(t, dir, "a", qcow.Options{Key: o.Passphrase})
				if err != nil {
					t.Fatal(err)
				}
				imagetest.Source(t, d, want)
				checkClean(t, d)
				c, err := d.Check(context.Background())
				if err != nil || c.AllocatedClusters != r.AllocatedClusters || c.CompressedClusters != r.CompressedClusters || c.ImageEnd != r.FileSize {
					t.Errorf("Create: %+v; Check: %+v, %v", r, c, err)
				}
				if how[:min(1, len(how))] == "z" && r.CompressedClusters == 0 {
					t.Error("no cluster is compressed")
				}
			})
		}
	}
	if n != 13*4 {
		t.Errorf("%d images", n)
	}
}

// TestQEMUReadsCreatedSizes creates disks of many sizes. qemu-img compares whole sectors.
func TestQEMUReadsCreatedSizes(t *testing.T) {
	need.Judge(t, "qemu-img", "qemu-io")
	for _, size := range []int64{0, 1, 511, 512, 513, 65535, 65536, 65537, 1<<20 + 1, 33<<20 + 77} {
		for _, how := range []string{"", "zlib", "luks"} {
			t.Run(fmt.Sprintf("%d,%s", size, how), func(t *testing.T) {
				t.Parallel()
				dir := t.TempDir()
				want := imagetest.Mixed(t, dir, "src", size, uint64(size)+5)
				if size > 0 {
					want[size-1] = 7
				}
				o := qcow.CreateOptions{}
				if how == "luks" {
					o.Passphrase, o.LUKS = []byte(createKey), cheap
				} else {
					o.Compression = how
				}
				r := create(t, dir, bytes.NewReader(want), o)
				want = append(want, make([]byte, -size&511)...)
				if err := os.WriteFile(filepath.Join(dir, "src"), want, 0o600); err != nil {
					t.Fatal(err)
				}
				verifyQEMU(t, dir, how == "luks")
				if r.VirtualSize != int64(len(want)) {
					t.Errorf("virtual size %d, want %d", r.VirtualSize, len(want))
				}
				d, err := openFile(t, dir, "a", qcow.Options{Key: o.Passphrase})
				if err != nil {
					t.Fatal(err)
				}
				imagetest.Source(t, d, want)
				checkClean(t, d)
			})
		}
	}
}

// TestQEMUReadsCreatedLUKS compares the encryption that qemu-img info reports for our image with
// that of QEMU's own.
func TestQEMUReadsCreatedLUKS(t *testing.T) {
	need.Judge(t, "qemu-img", "qemu-io")
	for _, c := range []struct {
		cipher, hash string
		key          int
		qemu         string
	}{
		{"", "", 0, "encrypt.cipher-alg=aes-256"},
		{"aes-xts-plain64", "sha256", 32, "encrypt.cipher-alg=aes-128"},
		{"aes-xts-plain64", "sha512", 64, "encrypt.hash-alg=sha512"},
		{"aes-cbc-essiv:sha256", "sha1", 32, "encrypt.cipher-mode=cbc,encrypt.ivgen-alg=essiv,encrypt.ivgen-hash-alg=sha256,encrypt.hash-alg=sha1"},
		{"aes-cbc-plain64", "sha256", 16, "encrypt.cipher-alg=aes-128,encrypt.cipher-mode=cbc"},
		{"serpent-xts-plain64", "sha256", 64, "encrypt.cipher-alg=serpent-256"},
		{"twofish-cbc-plain64", "sha512", 32, "encrypt.cipher-alg=twofish-256,encrypt.cipher-mode=cbc,encrypt.hash-alg=sha512"},
	} {
		t.Run(c.qemu, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			want := imagetest.Mixed(t, dir, "src", 3<<20, 8)
			lo := cheap
			lo.Cipher, lo.Hash, lo.KeySize = c.cipher, c.hash, c.key
			create(t, dir, bytes.NewReader(want), qcow.CreateOptions{Passphrase: []byte(createKey), LUKS: lo})
			verifyQEMU(t, dir, true)
			need.Run(t, dir, "qemu-img", "create", "-q", "-f", "qcow2", "--object", createSecret, "-o", "encrypt.format=luks,encrypt.key-secret=s,encrypt.iter-time=10,"+c.qemu, "theirs", "3M")
			if ours, theirs := infoOf(t, dir, "a"), infoOf(t, dir, "theirs"); ours != theirs {
				t.Errorf("qemu-img info of our image:\n%s\nof QEMU's:\n%s", ours, theirs)
			}
		})
	}
	t.Run("plain", func(t *testing.T) {
		dir := t.TempDir()
		create(t, dir, bytes.NewReader(make([]byte, 3<<20)), qcow.CreateOptions{})
		need.Run(t, dir, "qemu-img", "create", "-q", "-f", "qcow2", "theirs", "3M")
		if ours, theirs := infoOf(t, dir, "a"), infoOf(t, dir, "theirs"); ours != theirs {
			t.Errorf("qemu-img info of our image:\n%s\nof QEMU's:\n%s", ours, theirs)
		}
	})
}

// infoOf returns the output of qemu-img info without the values that differ between any two images.
func infoOf(t *testing.T, dir, name string) string {
	t.Helper()
	var v map[string]any
	if err := json.Unmarshal([]byte(need.Run(t, dir, "qemu-img", "info", "--output=json", name)), &v); err != nil {
		t.Fatal(err)
	}
	delete(v, "filename")
	delete(v, "actual-size")
	if e, ok := v["format-specific"].(map[string]any)["data"].(map[string]any)["encrypt"].(map[string]any); ok {
		if e["payload-offset"].(float64) == 0 || e["uuid"] == "" {
			t.Errorf("%v", e)
		}
		delete(e, "uuid")
		delete(e, "master-key-iters")
		delete(e["slots"].([]any)[0].(map[string]any), "iters")
	}
	b, err := json.MarshalIndent(v, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// TestQEMUWritesToCreated writes into our image with qemu-io.
func TestQEMUWritesToCreated(t *testing.T) {
	need.Judge(t, "qemu-img", "qemu-io")
	dir := t.TempDir()
	const size = 4<<20 + 512
	want := imagetest.Mixed(t, dir, "src", size, 12)
	create(t, dir, bytes.NewReader(want), qcow.CreateOptions{Passphrase: []byte(createKey), LUKS: cheap, ClusterSize: 4096})
	args := append([]string{"--object", createSecret}, writes(size, 9, "wwzu")...)
	need.Run(t, dir, "qemu-io", append(args, "--image-opts", createImg)...)
	d, err := openFile(t, dir, "a", qcow.Options{Key: []byte(createKey)})
	if err != nil {
		t.Fatal(err)
	}
	imagetest.Source(t, d, rawOf(t, dir, "--object", createSecret, "--image-opts", createImg))
	checkClean(t, d)
}

// TestQEMUReadsCreatedSparse creates an image of a disk of 100 GiB that is a sparse file with
// little data.
func TestQEMUReadsCreatedSparse(t *testing.T) {
	need.Judge(t, "qemu-img", "qemu-io")
	for _, how := range []string{"", "zstd", "luks"} {
		t.Run(how, func(t *testing.T) {
			dir := t.TempDir()
			f, err := os.Create(filepath.Join(dir, "src"))
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			if err := f.Truncate(100 << 30); err != nil {
				t.Skip(err)
			}
			for _, off := range []int64{0, 5<<30 + 512, 50<<30 - 4096, 100<<30 - 512} {
				if _, err := f.WriteAt(bytes.Repeat([]byte{byte(off>>30 + 1)}, 512), off); err != nil {
					t.Fatal(err)
				}
			}
			src, err := image.NewFile(f)
			if err != nil {
				t.Fatal(err)
			}
			if e := firstHole(src); e < 0 {
				t.Skip("this filesystem does not report holes")
			}
			o := qcow.CreateOptions{}
			if how == "luks" {
				o.Passphrase, o.LUKS = []byte(createKey), cheap
			} else {
				o.Compression = how
			}
			r := create(t, dir, src, o)
			verifyQEMU(t, dir, how == "luks")
			if r.AllocatedClusters != 4 || r.FileSize > r.AllocatedClusters*r.ClusterSize+3<<20 {
				t.Errorf("%+v", r)
			}
		})
	}
}

func firstHole(src image.Source) int64 {
	for e, err := range image.Extents(src, 0, src.Size()) {
		if err == nil && e.Kind != image.Data {
			return e.Offset
		}
	}
	return -1
}
