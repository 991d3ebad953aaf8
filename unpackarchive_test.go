package luksimg

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/luksimg/luksimg/archive"
	"github.com/luksimg/luksimg/image"
	"github.com/luksimg/luksimg/internal/imagetest"
	"github.com/luksimg/luksimg/internal/need"
)

// tarred makes a tar archive of pairs of name and content.
func tarred(t *testing.T, files ...string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for i := 0; i < len(files); i += 2 {
		if err := w.WriteHeader(&tar.Header{Name: files[i], Size: int64(len(files[i+1])), Mode: 0o644}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(files[i+1])); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func gzipped(t *testing.T, b string) string {
	t.Helper()
	var z bytes.Buffer
	w := gzip.NewWriter(&z)
	if _, err := w.Write([]byte(b)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return z.String()
}

// descriptorOf is an OVF descriptor of disks.
func descriptorOf(attr string, names ...string) string {
	var files, disks strings.Builder
	for i, n := range names {
		fmt.Fprintf(&files, `<File ovf:id="f%d" ovf:href="%s" %s/>`, i, n, attr)
		fmt.Fprintf(&disks, `<Disk ovf:diskId="d%d" ovf:fileRef="f%d" ovf:capacity="1" ovf:capacityAllocationUnits="byte * 2^20"/>`, i, i)
	}
	return `<?xml version="1.0"?><Envelope xmlns="http://schemas.dmtf.org/ovf/envelope/1" xmlns:ovf="http://schemas.dmtf.org/ovf/envelope/1"><References>` +
		files.String() + "</References><DiskSection>" + disks.String() + "</DiskSection></Envelope>"
}

// TestArchives opens a disk in several kinds of archives, also nested.
func TestArchives(t *testing.T) {
	need.Program(t, "qemu-img")
	dir := t.TempDir()
	raw := make([]byte, 1<<20)
	for i := range raw {
		if i/4096%3 == 1 {
			raw[i] = byte(i>>12 ^ i)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "d.raw"), raw, 0o600); err != nil {
		t.Fatal(err)
	}
	need.Run(t, dir, "qemu-img", "convert", "-O", "vmdk", "-o", "subformat=streamOptimized", "d.raw", "d.vmdk")
	b, err := os.ReadFile(filepath.Join(dir, "d.vmdk"))
	if err != nil {
		t.Fatal(err)
	}
	vmdk := string(b)
	sums := func(b string) string { return fmt.Sprintf("SHA256(d.vmdk)= %x\n", sha256.Sum256([]byte(b))) }
	tests := map[string]struct {
		file   []byte
		layers string
		format Format
	}{
		"OVA":               {tarred(t, "d.ovf", descriptorOf("", "d.vmdk"), "d.mf", sums(vmdk), "d.vmdk", vmdk), "ova", VMDK},
		"OVA, gzip inside":  {tarred(t, "d.ovf", descriptorOf(`ovf:compression="gzip"`, "d.vmdk"), "d.vmdk", gzipped(t, vmdk), "d.mf", sums(gzipped(t, vmdk))), "ova gzip", VMDK},
		"tar":               {tarred(t, "README", "read me", "d.raw", string(raw)), "tar", Raw},
		"tar, gzip inside":  {tarred(t, "d.raw.gz", gzipped(t, string(raw))), "tar gzip", Raw},
		"tar.gz":            {[]byte(gzipped(t, string(tarred(t, "d.raw", string(raw))))), "gzip tar", Raw},
		"tar.gz of a VMDK":  {[]byte(gzipped(t, string(tarred(t, "d.vmdk", vmdk)))), "gzip tar", VMDK},
		"tar in tar":        {tarred(t, "x", string(tarred(t, "d.vmdk", vmdk))), "tar tar", VMDK},
		"OVA, of two layer": {tarred(t, "d.ovf", descriptorOf("", "d.vmdk"), "d.vmdk", gzipped(t, gzipped(t, vmdk))), "ova gzip gzip", VMDK},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			img, err := OpenImage(context.Background(), bytes.NewReader(test.file), int64(len(test.file)), ImageOptions{})
			if err != nil {
				t.Fatal(err)
			}
			defer img.Close()
			if got := strings.Join(img.Layers, " "); got != test.layers || img.Format != test.format || img.Archive == nil || len(img.Archive.Disks) != 1 {
				t.Errorf("%s in %s, %+v", img.Format, got, img.Archive)
			}
			if !img.InOrder {
				imagetest.Source(t, img, raw)
			}
			var out bytes.Buffer
			if _, err := DecryptInOrder(context.Background(), &out, img, DecryptOptions{}); err != nil || !bytes.Equal(out.Bytes(), raw) {
				t.Errorf("%d bytes, %v", out.Len(), err)
			}
			if err := img.Intact(context.Background()); err != nil {
				t.Error(err)
			}
			i, err := Inspect(context.Background(), bytes.NewReader(test.file), int64(len(test.file)), ImageOptions{})
			if err != nil || !slices.Equal(i.Layers, img.Layers) || i.Format != test.format || i.Archive == nil || i.FileSize != int64(len(test.file)) {
				t.Errorf("%+v, %v", i, err)
			}
		})
	}
}

// TestArchiveOfChangedDisk uses a wrong digest. The image must open, but Intact must fail, whether or
// not the disk was read before.
func TestArchiveOfChangedDisk(t *testing.T) {
	raw := strings.Repeat("disk", 128_000)
	file := tarred(t, "d.ovf", descriptorOf("", "d.raw"), "d.raw", raw, "d.mf", fmt.Sprintf("SHA256(d.raw)= %064x\n", 0))
	for _, read := range []bool{false, true} {
		img, err := OpenImage(context.Background(), bytes.NewReader(file), int64(len(file)), ImageOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if read {
			if _, err := image.ReadFull(img, make([]byte, img.Size()), 0); err != nil {
				t.Fatal(err)
			}
		}
		var wrong *archive.SumError
		if err := img.Intact(context.Background()); !errors.Is(err, archive.ErrSum) || !errors.As(err, &wrong) || wrong.Name != "d.raw" {
			t.Error(err)
		}
		img.Close()
	}
}

func TestArchiveOfTwoDisks(t *testing.T) {
	one, two := strings.Repeat("1", 4096), strings.Repeat("2", 8192)
	file := tarred(t, "d.ovf", descriptorOf("", "a.raw", "b.raw"), "a.raw", one, "b.raw", two)
	open := func(member string) (*Image, error) {
		return OpenImage(context.Background(), bytes.NewReader(file), int64(len(file)), ImageOptions{Unpack: Unpacking{Member: member}})
	}
	if _, err := open(""); !errors.Is(err, archive.ErrChoice) {
		t.Error(err)
	}
	if _, err := open("c.raw"); !errors.Is(err, archive.ErrChoice) {
		t.Error(err)
	}
	img, err := open("b.raw")
	if err != nil || img.Size() != 8192 || img.Archive.Member != "b.raw" {
		t.Errorf("%+v, %v", img, err)
	}
	i, err := Inspect(context.Background(), bytes.NewReader(file), int64(len(file)), ImageOptions{})
	if err != nil || i.Format != "ova" || i.Disk != nil || len(i.Archive.Disks) != 2 || i.Archive.Disks[1].Size != 8192 || i.FileSize != int64(len(file)) {
		t.Errorf("%+v, %v", i, err)
	}
	var rows []string
	for name, value := range i.Fields() {
		rows = append(rows, name+": "+value)
	}
	if got := strings.Join(rows, "\n"); got != "disk in ova: \"a.raw\", 4096 bytes, a disk of 1048576\ndisk in ova: \"b.raw\", 8192 bytes, a disk of 1048576" {
		t.Error(got)
	}
	if _, err := OpenImage(context.Background(), strings.NewReader(one), 4096, ImageOptions{Unpack: Unpacking{Member: "a"}}); !errors.Is(err, ErrNoArchive) {
		t.Errorf("a member of a file that is not an archive: %v", err)
	}
	for what, b := range map[string]string{"a raw disk": one, "an OVA": string(file)} {
		if _, err := OpenImage(context.Background(), strings.NewReader(b), int64(len(b)), ImageOptions{Unpack: Unpacking{Image: "v1"}}); !errors.Is(err, ErrNoContainer) {
			t.Errorf("a container image in %s: %v", what, err)
		}
	}
	for want, o := range map[error]Unpacking{ErrNoArchive: {Member: "a"}, ErrNoContainer: {Image: "v1"}} {
		if _, err := UnpackStream(context.Background(), strings.NewReader(one), -1, o); !errors.Is(err, want) {
			t.Errorf("from a stream: %v, want %v", err, want)
		}
	}
}
