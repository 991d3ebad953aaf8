package archive

import (
	"archive/tar"
	"bytes"
	"context"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/luksimg/luksimg/image"
)

// FuzzOpen opens any bytes as an archive and reads its disks. The content of a member must be the same
// as with archive/tar.
func FuzzOpen(f *testing.F) {
	disk := file{name: "d.vmdk", data: noise(1000, 1)}
	ovf := file{name: "vm.ovf", data: virtualBoxOVF(disk.name)}
	f.Add(tarOf(f, ovf, disk, file{name: "vm.mf", data: manifestOf(virtualBoxForm, ovf, disk)}))
	f.Add(tarOf(f, file{name: strings.Repeat("n", 200) + ".raw", data: "x"}))
	f.Add(slicesOf(pax("GNU.sparse.map=0,2,5,2", "GNU.sparse.numblocks=2", "GNU.sparse.size=8"), block("d.raw", '0', "04", nil), []byte("abcd"), make([]byte, 508+1024)))
	f.Add(slicesOf(pax("GNU.sparse.major=1", "GNU.sparse.minor=0", "GNU.sparse.realsize=4096"), block("d.raw", '0', "01010", nil), []byte("1\n0\n8\n"), make([]byte, 506+1024)))
	f.Add(slicesOf(block("d.raw", 'S', "01000", func(b []byte) {
		copy(b[257:], "ustar  \x00")
		copy(b[386:], base256(1024))
		copy(b[398:], base256(512))
		copy(b[483:], base256(4096))
	}), make([]byte, 512+1024)))
	f.Fuzz(func(t *testing.T, b []byte) {
		b = bytes.Clone(b)
		sumHeaders(b)
		a, err := open(b)
		if err != nil {
			return
		}
		for i := range a.Disks {
			d, err := a.Disk(a.Disks[i].Name)
			if err != nil {
				continue
			}
			file, err := d.Open()
			if err != nil {
				t.Fatal(err)
			}
			size := file.Size()
			if size > 1<<20 {
				continue
			}
			got := make([]byte, size)
			if _, err := image.ReadFull(file, got, 0); err != nil {
				t.Fatalf("%s: %v", d.Name, err)
			}
			end := int64(0)
			for e, err := range image.Extents(file, 0, size) {
				if err != nil || e.Offset != end || e.Kind != image.Data && len(bytes.Trim(got[e.Offset:e.End()], "\x00")) > 0 {
					t.Fatalf("%+v, %v", e, err)
				}
				end = e.End()
			}
			if end != size {
				t.Fatalf("the extents end at %d of %d", end, size)
			}
			if want, ok := standard(b, d.Name); !ok || !bytes.Equal(got, want) {
				t.Fatalf("%s: %.40q, want %.40q", d.Name, got, want)
			}
			_ = file.Check(context.Background()) // any result, but it must return
		}
	})
}

// sumHeaders sets the checksum in all blocks that can be headers.
func sumHeaders(b []byte) {
	for ; len(b) >= blockSize; b = b[blockSize:] {
		if string(b[257:262]) == "ustar" {
			setSum(b[:blockSize])
		}
	}
}

// standard returns the content of the first member with a name, as archive/tar reads it.
func standard(b []byte, name string) ([]byte, bool) {
	r := tar.NewReader(bytes.NewReader(b))
	for {
		h, err := r.Next()
		if err != nil {
			return nil, false
		}
		if cleanName(h.Name) == name {
			data, err := io.ReadAll(r)
			return data, err == nil
		}
	}
}

func FuzzOVF(f *testing.F) {
	f.Add(virtualBoxOVF("d.vmdk"))
	f.Add(vmwareOVF("a.vmdk", "b.vmdk"))
	f.Add(`<Envelope><Section xsi:type="ovf:DiskSection_Type"><Disk capacity="4" capacityAllocationUnits="GigaBytes"/></Section></Envelope>`)
	f.Fuzz(func(t *testing.T, text string) {
		e, err := parseOVF(strings.NewReader(text))
		if err != nil {
			return
		}
		for _, d := range e.disks {
			if d.capacity < 0 {
				t.Errorf("a capacity of %d", d.capacity)
			}
		}
		for _, file := range e.files {
			if file == nil || file.size < -1 {
				t.Errorf("%+v", file)
			}
		}
	})
}

func FuzzManifest(f *testing.F) {
	f.Add("SHA1(a)= " + strings.Repeat("0", 40) + "\nSHA256 (b (c)) = " + strings.Repeat("f", 64) + "\r\n")
	f.Fuzz(func(t *testing.T, text string) {
		sums, err := parseManifest([]byte(text), "a")
		if err != nil {
			return
		}
		for name, d := range sums {
			if d.hash().Size() != len(d.sum) {
				t.Errorf("%q: %v", name, d)
			}
		}
	})
}

// FuzzImage opens container images whose index, manifest and layer are any bytes with the right
// digests.
func FuzzImage(f *testing.F) {
	f.Add(`{"mediaType":"x","annotations":{"org.opencontainers.image.ref.name":"a"}}`, `{"layers":[LAYER]}`, tarOf(f, file{name: "disk/d.img", data: "x"}))
	f.Add(`{"platform":{"os":"linux","architecture":"amd64"}}`, `{"manifests":[LAYER]}`, tarOf(f, file{name: "disk/.wh.d.img"}))
	f.Add(`{}`, `{"layers":[LAYER,LAYER]}`, []byte(`{"layers":[]}`))
	f.Fuzz(func(t *testing.T, entry, manifest string, layer []byte) {
		layer = bytes.Clone(layer)
		sumHeaders(layer)
		var b imageBuilder
		named := func(text, blob string) string {
			return strings.Replace(text, "{", fmt.Sprintf(`{"digest":%q,"size":%d,`, b.blob(blob), len(blob)), 1)
		}
		l := strings.TrimSuffix(named("{", string(layer)), ",") + "}"
		m := strings.ReplaceAll(manifest, "LAYER", l)
		if len(m) > 1<<16 {
			return
		}
		index := `{"manifests":[` + named(entry, m) + `]}`
		files := append(b.files[:len(b.files):len(b.files)], file{name: "oci-layout"}, file{name: "index.json", data: index})
		a, err := openImage(tarOf(t, files...), "")
		if err != nil {
			return
		}
		for i := range a.Disks {
			d, err := a.Disk(a.Disks[i].Name)
			if err != nil {
				continue
			}
			file, err := d.Open()
			if err != nil {
				t.Fatal(err)
			}
			if file.Size() > 1<<20 {
				continue
			}
			if _, err := image.ReadFull(file, make([]byte, file.Size()), 0); err != nil {
				t.Fatalf("%s: %v", d.Name, err)
			}
			if err := file.Check(context.Background()); err != nil {
				t.Fatalf("%s: %v", d.Name, err)
			}
		}
	})
}

// FuzzDocker opens Docker archives with any manifest and configuration.
func FuzzDocker(f *testing.F) {
	f.Add(`[{"Config":"c.json","RepoTags":["a:b"],"Layers":["l/layer.tar"]}]`, `{"rootfs":{"diff_ids":["sha256:0000000000000000000000000000000000000000000000000000000000000000"]}}`)
	f.Fuzz(func(t *testing.T, manifest, config string) {
		layer := file{name: "real.tar", data: string(tarOf(t, file{name: "disk/d.img", data: "x"}))}
		a, err := openImage(tarOf(t, file{name: "manifest.json", data: manifest}, file{name: "c.json", data: config}, layer, file{name: "l/layer.tar", kind: '2', link: "../real.tar"}), "")
		if err != nil {
			return
		}
		for i := range a.Disks {
			if text, err := content(t, a, a.Disks[i].Name); err == nil && text != "x" {
				t.Errorf("%q", text)
			}
		}
	})
}
