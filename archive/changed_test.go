package archive

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/luksimg/luksimg/image"
	"github.com/luksimg/luksimg/internal/imagetest"
)

// TestChangedLayers replaces the upper of two layers by one of the same length, or changes an unread
// byte in it. The older disk below must not be used as the disk of the image.
func TestChangedLayers(t *testing.T) {
	older, newer := string(tarOf(t, file{name: "disk/d.img", data: "older"})), string(tarOf(t, file{name: "disk/d.img", data: "newer"}))
	motd := string(tarOf(t, file{name: "etc/motd", data: "hello"}))
	another := strings.Replace(motd, "hello", "HELLO", 1)
	tests := map[string]struct {
		named, given string // the upper layer: as named in the image, and as stored
		want         string // "" means a SumError
	}{
		"as it is":          {newer, newer, "newer"},
		"replaced":          {newer, motd, ""},
		"a byte is changed": {motd, another, ""},
		"as it was":         {motd, motd, "older"},
		"empty":             {string(make([]byte, 1024)), string(make([]byte, 1024)), "older"},
		"the disk is gone":  {newer, string(make([]byte, len(newer))), ""},
	}
	sum := func(b string) string { return fmt.Sprintf("%x", sha256.Sum256([]byte(b))) }
	docker := func(diffs []string, names []string, layers []string) []byte {
		config := fmt.Sprintf(`{"rootfs":{"diff_ids":["sha256:%s","sha256:%s"]}}`, sum(diffs[0]), sum(diffs[1]))
		return tarOf(t, file{name: names[0], data: layers[0]}, file{name: names[1], data: layers[1]}, file{name: sum(config) + ".json", data: config},
			file{name: "manifest.json", data: fmt.Sprintf(`[{"Config":"%s.json","Layers":[%q,%q]}]`, sum(config), names[0], names[1])})
	}
	check := func(t *testing.T, b []byte, want string) {
		t.Helper()
		a, err := openImage(b, "")
		if err != nil {
			t.Fatal(err)
		}
		got, err := content(t, a, "")
		if want == "" && !errors.Is(err, ErrSum) || want != "" && (err != nil || got != want) {
			t.Errorf("%q, %v; want %q", got, err, want)
		}
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			for form, zip := range map[string]func(string) string{"plain": func(s string) string { return s }, "gzip": func(s string) string { return gzipOf([]byte(s)) }} {
				var b imageBuilder
				layers := []object{b.descriptor(zip(older)), b.descriptor(zip(test.named))}
				given := zip(test.given)
				layers[1]["size"] = len(given)
				b.files[1].data = given
				t.Run("OCI "+form, func(t *testing.T) {
					check(t, b.tar(t, b.descriptor(b.json(object{"layers": layers}))), test.want)
				})
			}
			t.Run("Docker", func(t *testing.T) {
				check(t, docker([]string{older, test.named}, []string{"a/layer.tar", "b/layer.tar"}, []string{older, test.given}), test.want)
			})
			t.Run("Docker gzip", func(t *testing.T) { // the blob is named after its digest, the configuration has the digest of the content
				lower, upper := gzipOf([]byte(older)), gzipOf([]byte(test.given))
				check(t, docker([]string{older, test.named}, []string{"blobs/sha256/" + sum(lower), "blobs/sha256/" + sum(upper)}, []string{lower, upper}), test.want)
			})
		})
	}
}

// TestManifestSpellings uses two entries of a manifest for one member. They must agree, in any order.
func TestManifestSpellings(t *testing.T) {
	disk := file{name: "vm-disk1.vmdk", data: noise(70_000, 1)}
	ovf := file{name: "vm.ovf", data: virtualBoxOVF(disk.name)}
	right := fmt.Sprintf("%x", sha256.Sum256([]byte(disk.data)))
	wrong := strings.Repeat("0", 64)
	for _, name := range []string{"x/../vm-disk1.vmdk", ".//vm-disk1.vmdk", "./vm-disk1.vmdk", "/vm-disk1.vmdk", "vm-disk1.vmdk"} {
		for _, sums := range [][2]string{{right, wrong}, {wrong, right}} {
			_, err := open(tarOf(t, ovf, disk, file{name: "vm.mf", data: "SHA256(vm-disk1.vmdk)= " + sums[0] + "\nSHA1(vm-disk1.vmdk)= " + wrong[:40] +
				"\nSHA512(a)= " + wrong + wrong + "\nSHA256(" + name + ")= " + sums[1] + "\n"}))
			imagetest.Refused(t, err, "manifest", "line", -1, "the same digest")
		}
		a := opened(t, tarOf(t, ovf, disk, file{name: "vm.mf", data: "SHA256(vm-disk1.vmdk)= " + right + "\nSHA256(" + name + ")= " + right + "\n"}))
		if got, err := content(t, a, ""); err != nil || got != disk.data {
			t.Errorf("%s: %d bytes, %v", name, len(got), err)
		}
		a = opened(t, tarOf(t, ovf, disk, file{name: "vm.mf", data: "SHA256(" + name + ")= " + wrong + "\n"}))
		if _, err := content(t, a, ""); !errors.Is(err, ErrSum) {
			t.Errorf("%s: %v", name, err)
		}
	}
	// Two digests with the same algorithm differ, with a stronger one between them.
	_, err := open(tarOf(t, ovf, disk, file{name: "vm.mf", data: "SHA1(vm-disk1.vmdk)= " + wrong[:40] + "\nSHA256(vm-disk1.vmdk)= " + right + "\nSHA1(vm-disk1.vmdk)= 1" + wrong[:39] + "\n"}))
	imagetest.Refused(t, err, "manifest", "line", -1, "the same digest")
	// The name of the member itself has an odd spelling.
	a := opened(t, tarOf(t, ovf, disk, file{name: "x/../nv", data: "nv"}, file{name: "vm.mf", data: "SHA256(nv)= " + wrong + "\n"}))
	if _, err := content(t, a, "x/../nv"); !errors.Is(err, ErrSum) {
		t.Errorf("an odd name: %v", err)
	}
}

// TestWhichManifest uses archives with several manifests, or with one that is not a regular file.
func TestWhichManifest(t *testing.T) {
	disk := file{name: "vm-disk1.vmdk", data: noise(70_000, 1)}
	ovf := file{name: "vm.ovf", data: virtualBoxOVF(disk.name)}
	right := manifestOf(vmwareForm, ovf, disk)
	wrong := "SHA256(vm-disk1.vmdk)= " + strings.Repeat("0", 64) + "\n"
	mf := func(name, data string) file { return file{name: name, data: data} }
	tests := map[string]struct {
		files []file
		want  string // part of the error
	}{
		"two of one name":       {[]file{mf("vm.mf", wrong), mf("vm.mf", right)}, `two manifests, "vm.mf" and "vm.mf"`},
		"in capitals":           {[]file{mf("vm.mf", wrong), mf("vm.MF", right)}, `two manifests, "vm.mf" and "vm.MF"`},
		"of another spelling":   {[]file{mf("x/../vm.mf", wrong), mf("vm.mf", right)}, `two manifests, "x/../vm.mf" and "vm.mf"`},
		"a link":                {[]file{{name: "vm.mf", kind: '2', link: "z"}, mf("z", wrong)}, `the manifest "vm.mf" is a link or a device, not a file`},
		"a hard link":           {[]file{mf("z", wrong), {name: "vm.mf", kind: '1', link: "z"}}, `the manifest "vm.mf" is a link or a device, not a file`},
		"a link and a file":     {[]file{mf("vm.mf", right), {name: "vm.mf", kind: '2', link: "z"}}, "two manifests"},
		"two of other names":    {[]file{mf("a.mf", right), mf("b.mf", right)}, `two manifests, "a.mf" and "b.mf"`},
		"the own one first":     {[]file{mf("vm.mf", right), mf("a.mf", wrong), mf("b.mf", wrong)}, ""},
		"the own one last":      {[]file{mf("a.mf", wrong), mf("b.mf", wrong), mf("VM.MF", right)}, ""},
		"of another name":       {[]file{mf("a.mf", right)}, ""},
		"a folder":              {[]file{{name: "vm.mf/", kind: '5'}}, ""},
		"of macOS":              {[]file{mf("._vm.mf", "x"), mf("vm.mf", right)}, ""},
		"the own one, and link": {[]file{mf("vm.mf", right), {name: "a.mf", kind: '2', link: "vm.mf"}}, ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			a, err := open(tarOf(t, append([]file{ovf, disk}, test.files...)...))
			if test.want != "" {
				if !errors.Is(err, image.ErrUnsupported) || !strings.Contains(err.Error(), test.want) {
					t.Errorf("%v, want %q", err, test.want)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if got, err := content(t, a, ""); err != nil || got != disk.data {
				t.Errorf("%d bytes, %v", len(got), err)
			}
		})
	}
}

// fickle returns other bytes when a byte is read again.
type fickle struct {
	*bytes.Reader
	at    int64
	times int
}

func (f *fickle) ReadAt(p []byte, off int64) (int, error) {
	n, err := f.Reader.ReadAt(p, off)
	if off <= f.at && f.at < off+int64(n) {
		if f.times++; f.times > 1 {
			p[f.at-off] ^= 1
		}
	}
	return n, err
}

// TestReadTwice reads a file that changes between two reads. The digest must cover the bytes that were
// used.
func TestReadTwice(t *testing.T) {
	disk := file{name: "vm-disk1.vmdk", data: noise(300_000, 1)}
	ovf := file{name: "vm.ovf", data: virtualBoxOVF(disk.name)}
	b := tarOf(t, ovf, disk, file{name: "vm.mf", data: manifestOf(vmwareForm, ovf, disk)})
	src := &fickle{Reader: bytes.NewReader(b), at: int64(bytes.Index(b, []byte(disk.data[:64]))) + 100_000}
	a, err := Open(context.Background(), src, src.Size(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	f, err := must(a.Disk("")).Open()
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Check(context.Background()); err != nil {
		t.Fatal(err)
	}
	if _, err := image.ReadFull(f, make([]byte, f.Size()), 0); !errors.Is(err, image.ErrChanged) {
		t.Errorf("%v, want ErrChanged", err)
	}
}
