package luksimg_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/luksimg/luksimg"
	"github.com/luksimg/luksimg/image"
	"github.com/luksimg/luksimg/internal/golden"
)

// checksum sets the checksum of a VHD structure.
func checksum(b []byte, at int) {
	clear(b[at:][:4])
	var sum uint32
	for _, c := range b {
		sum += uint32(c)
	}
	binary.BigEndian.PutUint32(b[at:], ^sum)
}

// differencing turns a dynamic VHD into a differencing one with the named parent.
func differencing(child, parent []byte, name string) []byte {
	child = bytes.Clone(child)
	be := binary.BigEndian
	for _, footer := range [][]byte{child[:512], child[len(child)-512:]} {
		be.PutUint32(footer[60:], 4)
		checksum(footer, 64)
	}
	header := child[be.Uint64(child[16:]):][:1024]
	copy(header[40:56], parent[68:84]) // the unique ID of the parent
	for i, u := range utf16.Encode([]rune(name)) {
		be.PutUint16(header[64+2*i:], u)
	}
	checksum(header, 36)
	return child
}

// folder resolves names in memory and records the requests.
type folder struct {
	files map[string][]byte
	asked []image.Ref
}

func (f *folder) resolve(r image.Ref) (*luksimg.OtherFile, error) {
	f.asked = append(f.asked, r)
	b, ok := f.files[r.Names[0]]
	if !ok {
		return nil, errBroken
	}
	return &luksimg.OtherFile{ReaderAt: bytes.NewReader(b), Size: int64(len(b)), ID: r.Names[0]}, nil
}

func (f *folder) open(name string) (*luksimg.Image, error) {
	b := f.files[name]
	return luksimg.OpenImage(context.Background(), bytes.NewReader(b), int64(len(b)), luksimg.ImageOptions{Resolve: f.resolve, ID: name})
}

func TestDifferencingVHD(t *testing.T) {
	ctx := context.Background()
	toVHD := func(d *disk) []byte {
		var f file
		if _, err := luksimg.Decrypt(ctx, &f, d, luksimg.DecryptOptions{Format: luksimg.VHD}); err != nil {
			t.Fatal(err)
		}
		return f.b
	}
	base := newDisk(6 << 20)
	top := newDisk(6 << 20)
	clear(top.b[2<<20:]) // only the first block is allocated
	middle := newDisk(6 << 20)
	clear(middle.b[:4<<20])
	want := append(append(bytes.Clone(top.b[:2<<20]), base.b[2<<20:4<<20]...), middle.b[4<<20:]...)

	f := &folder{files: map[string][]byte{"base": toVHD(base)}}
	f.files["middle"] = differencing(toVHD(middle), f.files["base"], "base")
	f.files["top"] = differencing(toVHD(top), f.files["middle"], "middle")
	img, err := f.open("top")
	if err != nil {
		t.Fatal(err)
	}
	if err := luksimg.Verify(ctx, &disk{b: want}, img, luksimg.VerifyOptions{}); err != nil {
		t.Error(err)
	}
	if len(f.asked) != 2 || f.asked[0].From != "top" || f.asked[1].From != "middle" || f.asked[1].Depth != 2 || f.asked[0].Format != "vhd" {
		t.Errorf("requested %+v", f.asked)
	}
	b := f.files["top"]
	if _, err := luksimg.OpenImage(t.Context(), bytes.NewReader(b), int64(len(b)), luksimg.ImageOptions{}); !errors.As(err, new(*image.RefusedError)) {
		t.Errorf("without a resolver: %v", err)
	}
	if i, err := luksimg.Inspect(ctx, bytes.NewReader(b), int64(len(b)), luksimg.ImageOptions{}); err != nil || i.VHD.Parent == nil || i.VHD.Parent.Name != "middle" {
		t.Errorf("inspect: %+v, %v", i, err)
	}
	// A disk with another ID is not the parent, even with the same name.
	other := bytes.Clone(f.files["middle"])
	for _, footer := range [][]byte{other[:512], other[len(other)-512:]} {
		footer[68]++
		checksum(footer, 64)
	}
	f.files["middle"] = other
	if _, err := f.open("top"); !errors.Is(err, image.ErrFormat) {
		t.Errorf("another parent: %v", err)
	}
}

func TestLoop(t *testing.T) {
	ctx := context.Background()
	var d file
	if _, err := luksimg.Decrypt(ctx, &d, newDisk(4096), luksimg.DecryptOptions{Format: luksimg.VHD}); err != nil {
		t.Fatal(err)
	}
	f := &folder{files: map[string][]byte{"loop": differencing(d.b, d.b, "loop")}}
	if _, err := f.open("loop"); !errors.Is(err, image.ErrFormat) || !strings.Contains(err.Error(), "loop") || len(f.asked) > 2 {
		t.Errorf("%v, after %d files", err, len(f.asked))
	}
}

// onItself returns a qcow2 image whose backing file is the file loop in the given format.
func onItself(t *testing.T, format string) []byte {
	t.Helper()
	var d file
	if _, err := luksimg.Decrypt(context.Background(), &d, newDisk(4096), luksimg.DecryptOptions{Format: luksimg.QCOW2}); err != nil {
		t.Fatal(err)
	}
	be := binary.BigEndian
	ext := d.b[be.Uint32(d.b[100:]):512]
	clear(ext)
	be.PutUint32(ext, 0xe2792aca) // backing file format extension, then the end of extensions
	be.PutUint32(ext[4:], uint32(len(format)))
	copy(ext[8:], format)
	copy(d.b[512:], "loop")
	be.PutUint64(d.b[8:], 512)
	be.PutUint32(d.b[16:], 4)
	return d.b
}

// TestLoopOtherFormat opens images that are their own backing file, with the same format or another
// one.
func TestLoopOtherFormat(t *testing.T) {
	for _, format := range []string{"raw", "qcow2"} {
		f := &folder{files: map[string][]byte{"loop": onItself(t, format)}}
		_, err := f.open("loop")
		if !errors.Is(err, image.ErrFormat) || !strings.Contains(err.Error(), "loop") || len(f.asked) > 2 {
			t.Errorf("%s: %v, after %d files", format, err, len(f.asked))
		}
		if format == "raw" && len(f.asked) != 1 {
			t.Errorf("the file was requested %d times", len(f.asked))
		}
	}
}

func TestVMDK(t *testing.T) {
	ctx := context.Background()
	split := golden.Read("testdata/vmdk/split.vmdk.gz")
	f := &folder{files: map[string][]byte{"split": split}}
	if _, err := luksimg.OpenImage(t.Context(), bytes.NewReader(split), int64(len(split)), luksimg.ImageOptions{}); !errors.As(err, new(*image.RefusedError)) {
		t.Errorf("without a resolver: %v", err)
	}
	if _, err := f.open("split"); !errors.Is(err, errBroken) {
		t.Errorf("a missing extent: %v", err)
	}
	f.files[f.asked[0].Names[0]] = golden.Read("testdata/vmdk/split-s001.vmdk.gz")
	img, err := f.open("split")
	if err != nil {
		t.Fatal(err)
	}
	if img.Format != luksimg.VMDK || img.Size() == 0 {
		t.Errorf("%s of %d bytes", img.Format, img.Size())
	}
	whole := golden.Read("testdata/vmdk/sparse.vmdk.gz")
	if c, err := luksimg.Check(ctx, bytes.NewReader(whole), int64(len(whole)), luksimg.ImageOptions{}); err != nil || c.Corruptions != 0 {
		t.Errorf("check: %+v, %v", c, err)
	}
	for _, name := range []string{"testdata/vhdx/dynamic.vhdx.gz", "testdata/vmdk/stream.vmdk.gz"} {
		b := golden.Read(name)
		i, err := luksimg.Inspect(ctx, bytes.NewReader(b), int64(len(b)), luksimg.ImageOptions{})
		if err != nil || i.VirtualSize == 0 || i.DataSize == 0 || i.VHDX == nil && i.VMDK == nil {
			t.Errorf("%s: %+v, %v", name, i, err)
		}
		var out file
		img, err := luksimg.OpenImage(t.Context(), bytes.NewReader(b), int64(len(b)), luksimg.ImageOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := luksimg.Decrypt(ctx, &out, img, luksimg.DecryptOptions{}); err != nil || int64(len(out.b)) != i.VirtualSize {
			t.Errorf("%s: %d bytes, %v", name, len(out.b), err)
		}
	}
	if _, err := luksimg.Check(ctx, bytes.NewReader(nil), 0, luksimg.ImageOptions{}); !errors.Is(err, luksimg.ErrUnsupportedFormat) {
		t.Errorf("check of a raw disk: %v", err)
	}
}
