package vmdk

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/luksimg/luksimg/image"
	"github.com/luksimg/luksimg/internal/imagetest"
)

// splits returns disks of several files: the descriptor, the files and the content of the disk.
func splits() map[string]func() (string, map[string][]byte, []byte) {
	head := "# Disk DescriptorFile\nversion=1\nCID=123a\nparentCID=ffffffff\ncreateType=\"custom\"\n"
	flat := imagetest.Noise(10_000*sectorSize, 5)
	sparse := img{sectors: 5000, bare: true, kinds: "-d", seed: 6}.build()
	small := img{sectors: 3000, bare: true, grain: 8, entries: 16, kinds: "-hd", redundant: true, seed: 7}.build()
	packed := img{version: 3, sectors: 2000, compress: true, markers: true, late: true, footer: true, seed: 8}.build()
	rounded := img{sectors: 2048, bare: true, nominal: 2000, kinds: "d", seed: 9}.build()
	mib := func(n int64) []byte { return make([]byte, n*sectorSize) }
	join := func(parts ...[]byte) []byte { return bytes.Join(parts, nil) }
	files := map[string][]byte{"flat": flat, "s001": sparse.file, "s002": small.file, "packed": packed.file, "rounded": rounded.file,
		"../../etc/passwd": flat, "name with spaces (1).vmdk": flat}
	return map[string]func() (string, map[string][]byte, []byte){
		"flat": func() (string, map[string][]byte, []byte) { return head + "RW 10000 FLAT \"flat\" 0\n", files, flat },
		"vmfs": func() (string, map[string][]byte, []byte) { return head + "RW 10000 VMFS \"flat\"\n", files, flat },
		"pieces of a flat file": func() (string, map[string][]byte, []byte) {
			return head + "RW 100 FLAT \"flat\" 500\nRDONLY 200 FLAT \"flat\" 600\nRW 50 FLAT \"flat\" 9950 partitionUUID x\n", files,
				join(flat[500*sectorSize:800*sectorSize], flat[9950*sectorSize:])
		},
		"zero in between": func() (string, map[string][]byte, []byte) {
			return head + "RW 63 FLAT \"flat\" 0\nRW 1000 ZERO\nNOACCESS 8 ZERO\nRW 63 FLAT \"flat\" 63\n", files,
				join(flat[:63*sectorSize], mib(1008), flat[63*sectorSize:126*sectorSize])
		},
		"zero only": func() (string, map[string][]byte, []byte) { return head + "RW 12345 ZERO\n", nil, mib(12345) },
		"sparse": func() (string, map[string][]byte, []byte) {
			return head + "RW 5000 SPARSE \"s001\"\nRW 3000 SPARSE \"s002\"\n", files, join(sparse.guest, small.guest)
		},
		"all kinds": func() (string, map[string][]byte, []byte) {
			return head + "RW 5000 SPARSE \"s001\"\n  RW\t77  FLAT  \"flat\"  1 \nRW 2000 SPARSE \"packed\" 0\nRW 1 ZERO\nRW 3000 SPARSE \"s002\"\n", files,
				join(sparse.guest, flat[sectorSize:78*sectorSize], packed.guest, mib(1), small.guest)
		},
		"rounded": func() (string, map[string][]byte, []byte) {
			return head + "RW 2000 SPARSE \"rounded\"\nRW 1 FLAT \"flat\" 0\n", files, join(rounded.guest, flat[:sectorSize])
		},
		"odd names": func() (string, map[string][]byte, []byte) {
			return head + "RW 1 FLAT \"../../etc/passwd\" 0\nRW 1 FLAT \"name with spaces (1).vmdk\" 0", files, join(flat[:sectorSize], flat[:sectorSize])
		},
		// QEMU leaves this tail when a descriptor becomes shorter.
		"after a NUL": func() (string, map[string][]byte, []byte) {
			return head + "RW 10 FLAT \"flat\" 0\n\x00\n" + string(mib(1)) + "4\"\n", files, flat[:10*sectorSize]
		},
		"text oddities": func() (string, map[string][]byte, []byte) {
			return "\n# a comment\n\n VERSION = \"2\"\r\nEncoding=\"UTF-8\"\r\ncid = 0\nCREATETYPE=\"monolithicFlat\"\nchangeTrackPath=\"x-ctk.vmdk\"\nkey=a=b\nRW 10 FLAT \"flat\"\r\n" +
				strings.Repeat("#", 2000), files, flat[:10*sectorSize]
		},
	}
}

func TestReadSplit(t *testing.T) {
	for name, build := range splits() {
		t.Run(name, func(t *testing.T) {
			text, files, want := build()
			var asked []image.Ref
			d := open(t, []byte(text), Options{Resolve: memory(files, &asked)})
			imagetest.Exact(t, d, want)
			names := map[string]bool{}
			for _, r := range asked {
				if r.Options != nil || r.Depth != 1 || names[r.Name()] || r.Format != "raw" || r.What != "extent" {
					t.Errorf("resolved %+v", r)
				}
				names[r.Name()] = true
			}
			i, err := d.Info(context.Background())
			if err != nil || len(i.Extents) != len(d.extents) || i.AllocatedBytes != int64(len(want)-bytes.Count(want, []byte{0})) {
				t.Errorf("Info: got %+v, %v", i, err)
			}
		})
	}
}

// TestRefused checks that no file is opened without a resolver, and that MetadataOnly does not call the
// resolver.
func TestRefused(t *testing.T) {
	text := "version=1\nCID=12ab\nparentCID=ffffffff\ncreateType=\"monolithicFlat\"\nRW 100 FLAT \"/etc/shadow\" 7\nRW 1 ZERO\n"
	_, err := Open(context.Background(), strings.NewReader(text), int64(len(text)), Options{})
	var refused *image.RefusedError
	if !errors.As(err, &refused) || refused.Ref.Name() != "/etc/shadow" || refused.Ref.Format != "raw" || refused.Ref.What == "parent disk" {
		t.Fatalf("got %v", err)
	}
	never := func(r image.Ref) (image.Source, error) { t.Errorf("resolved %+v", r); return nil, nil }
	d := open(t, []byte(text), Options{MetadataOnly: true, Resolve: never})
	if _, err := d.ReadAt(make([]byte, 1), 0); err == nil || err == io.EOF {
		t.Errorf("read: %v", err)
	}
	for _, err := range d.Extents(0, 1) {
		if err == nil {
			t.Error("Extents yielded an extent without an error for an image opened with MetadataOnly")
		}
	}
	i, err := d.Info(context.Background())
	if err != nil || i.VirtualSize != 101*sectorSize || i.CID != "000012ab" || i.ParentCID != "" ||
		i.Extents[0] != (ExtentInfo{"RW", "FLAT", "/etc/shadow", 7 * sectorSize, 100 * sectorSize}) {
		t.Errorf("Info: got %+v, %v", i, err)
	}
	delta := img{sectors: 100, parent: "12ab", hint: "C:\\base.vmdk"}.build()
	_, err = Open(context.Background(), bytes.NewReader(delta.file), int64(len(delta.file)), Options{})
	if !errors.As(err, &refused) || refused.Ref.What != "parent disk" || refused.Ref.Name() != "C:\\base.vmdk" {
		t.Fatalf("got %v", err)
	}
	d = open(t, delta.file, Options{MetadataOnly: true, Resolve: never})
	if i, err := d.Info(context.Background()); err != nil || i.ParentCID != "000012ab" || i.ParentFile != "C:\\base.vmdk" {
		t.Errorf("Info: got %+v, %v", i, err)
	}
	bad := errors.New("no")
	for want, resolve := range map[error]func(image.Ref) (image.Source, error){
		bad: func(image.Ref) (image.Source, error) { return nil, bad },
		nil: func(image.Ref) (image.Source, error) { return nil, nil },
	} {
		if _, err := Open(context.Background(), strings.NewReader(text), int64(len(text)), Options{Resolve: resolve}); err == nil || want != nil && !errors.Is(err, want) {
			t.Errorf("got %v", err)
		}
	}
}
