package luksimg_test

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/luksimg/luksimg"
	"github.com/luksimg/luksimg/internal/golden"
)

func TestDetect(t *testing.T) {
	at := func(n, off int, magic string) []byte {
		b := make([]byte, n)
		copy(b[off:], magic)
		return b
	}
	for name, c := range map[string]struct {
		b    []byte
		want luksimg.Format
		err  error
	}{
		"empty":           {nil, "", luksimg.ErrUnsupportedFormat},
		"a byte":          {[]byte{1}, luksimg.Raw, nil},
		"zeros":           {make([]byte, 10_000), luksimg.Raw, nil},
		"LUKS1":           {at(1024, 0, "LUKS\xba\xbe\x00\x01"), luksimg.LUKS1, nil},
		"LUKS2":           {at(1024, 0, "LUKS\xba\xbe\x00\x02"), luksimg.LUKS2, nil},
		"LUKS2 secondary": {at(40_000, 32768, "SKUL\xba\xbe\x00\x02"+strings.Repeat("\x00", 256-8+6)+"\x80\x00"), luksimg.LUKS2, nil},
		"qcow2":           {at(1024, 0, "QFI\xfb"), luksimg.QCOW2, nil},
		"VHDX, cut off":   {at(1024, 0, "vhdxfile"), luksimg.VHDX, nil},
		"VHDX":            {at(4<<20, 0, "vhdxfile"), luksimg.VHDX, nil},
		"VMDK":            {at(1024, 0, "KDMV"), luksimg.VMDK, nil},
		"VMDK of ESX":     {at(1024, 0, "COWD"), luksimg.VMDK, nil},
		"VMDK descriptor": {[]byte("# Disk DescriptorFile\nversion=1\n"), luksimg.VMDK, nil},
		"VHD footer":      {at(4096, 4096-512, "conectix"), luksimg.VHD, nil},
		"footer of 511":   {at(4096, 4096-511, "conectix"), luksimg.VHD, nil},
		"VHD, cut off":    {at(4096, 0, "conectix"), luksimg.VHD, nil},
		"a short VHD":     {[]byte("conectix"), luksimg.VHD, nil},
		"cookie inside":   {at(4096, 512, "conectix"), luksimg.Raw, nil},
		"VDI":             {at(1024, 64, "\x7f\x10\xda\xbe"), luksimg.VDI, nil},
		"qcow 1":          {at(1024, 0, "QFI\xfb\x00\x00\x00\x01"), "", luksimg.ErrUnsupportedFormat},
		"gzip":            {at(1024, 0, "\x1f\x8b\x08"), "", luksimg.ErrUnsupportedFormat},
		"tar":             {at(1024, 257, "ustar\x00"), "", luksimg.ErrUnsupportedFormat},
		"ISO 9660":        {at(40_000, 32769, "CD001\x01"), luksimg.Raw, nil},
	} {
		got, err := luksimg.Detect(bytes.NewReader(c.b), int64(len(c.b)))
		if got != c.want || !errors.Is(err, c.err) {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	if _, err := luksimg.Detect(bytes.NewReader(nil), 512); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("a reader that ends early: %v", err)
	}
}

// TestForeignError checks the fields and the hint of the error.
func TestForeignError(t *testing.T) {
	b := append(make([]byte, 10_000), "koly"...)
	b = append(b, make([]byte, 508)...)
	_, err := luksimg.OpenImage(t.Context(), bytes.NewReader(b), int64(len(b)), luksimg.ImageOptions{})
	f := new(luksimg.ForeignError)
	if !errors.As(err, &f) || f.Offset != 10_000 || f.Advice != luksimg.ConvertIt || !strings.Contains(f.Name, "DMG") || !strings.Contains(f.Tool, "qemu-img") {
		t.Errorf("%v: %+v", err, f)
	}
	img, err := luksimg.OpenImage(t.Context(), bytes.NewReader(b), int64(len(b)), luksimg.ImageOptions{Format: luksimg.Raw})
	if err != nil || img.Size() != int64(len(b)) {
		t.Errorf("taken as raw: %v", err)
	}
}

// TestAmbiguous writes the signatures of two formats into one file.
func TestAmbiguous(t *testing.T) {
	footer := string(golden.Read("testdata/vhd/fixed-64k.vhd.gz"))
	footer = footer[len(footer)-512:]
	const size = 64 << 10
	marks := map[string]struct {
		off  int
		text string
	}{
		"qcow2":    {0, "QFI\xfb\x00\x00\x00\x03"},
		"VMDK":     {0, "KDMV\x01\x00\x00\x00"},
		"VHDX":     {0, "vhdxfile"},
		"LUKS1":    {0, "LUKS\xba\xbe\x00\x01"},
		"LUKS2":    {0, "LUKS\xba\xbe\x00\x02"},
		"VHD":      {size - 512, footer},
		"ISO":      {32 << 10, "\x01CD001\x01"},
		"UDF":      {32 << 10, "\x00BEA01\x01" + strings.Repeat("\x00", 2041) + "\x00NSR03"},
		"VDI":      {64, "\x7f\x10\xda\xbe"},
		"DMG":      {size - 512, "koly"},
		"tar":      {257, "ustar\x00"},
		"7z":       {0, "7z\xbc\xaf\x27\x1c"},
		"PE, weak": {0, "MZ" + strings.Repeat("\x00", 58) + "\x80\x00\x00\x00" + strings.Repeat("\x00", 64) + "PE\x00\x00"},
		"MBR, no":  {510, "\x55\xaa"},
		"GPT, no":  {512, "EFI PART"},
		"MBR":      {446, "\x80\x00\x00\x00\x83\x00\x00\x00\x00\x08\x00\x00\x00\x10\x00\x00" + strings.Repeat("\x00", 48) + "\x55\xaa"},
		"GPT":      {512, "EFI PART\x00\x00\x01\x00\x5c\x00\x00\x00"},
		"nothing":  {0, ""},
	}
	file := func(names ...string) []byte {
		b := make([]byte, size)
		for _, n := range names {
			copy(b[marks[n].off:], marks[n].text)
		}
		return b
	}
	for _, c := range []struct {
		a, b string
		want luksimg.Format // "" if both count
	}{
		{"qcow2", "VHD", ""}, {"VMDK", "VHD", ""}, {"VHDX", "VHD", ""}, {"LUKS1", "VHD", ""}, {"LUKS2", "VHD", ""},
		{"qcow2", "ISO", ""}, {"VMDK", "ISO", ""}, {"VHDX", "ISO", ""}, {"LUKS2", "ISO", ""}, {"VHD", "ISO", ""},
		{"qcow2", "UDF", ""}, {"qcow2", "VDI", ""}, {"VHD", "VDI", ""}, {"qcow2", "DMG", ""}, {"tar", "VHD", ""},
		{"qcow2", "MBR", ""}, {"VMDK", "MBR", ""}, {"VHDX", "MBR", ""}, {"VDI", "MBR", ""}, {"qcow2", "GPT", ""}, {"VHDX", "GPT", ""}, {"VDI", "GPT", ""},
		{"VHD", "MBR", luksimg.VHD}, {"VHD", "GPT", luksimg.VHD}, {"ISO", "MBR", luksimg.Raw}, {"LUKS2", "MBR", luksimg.LUKS2},
		{"ISO", "7z", ""}, {"ISO", "DMG", ""}, {"ISO", "tar", ""},
		{"qcow2", "MBR, no", luksimg.QCOW2}, {"VHDX", "GPT, no", luksimg.VHDX}, {"VHD", "MBR, no", luksimg.VHD}, {"VHD", "GPT, no", luksimg.VHD},
		{"ISO", "MBR, no", luksimg.Raw}, {"ISO", "GPT, no", luksimg.Raw}, {"MBR, no", "GPT, no", luksimg.Raw}, {"ISO", "UDF", luksimg.Raw},
		{"VHD", "PE, weak", luksimg.VHD}, {"ISO", "PE, weak", luksimg.Raw}, {"qcow2", "nothing", luksimg.QCOW2},
	} {
		b := file(c.a, c.b)
		format, err := luksimg.Detect(bytes.NewReader(b), size)
		a := new(luksimg.AmbiguousError)
		switch {
		case c.want != "":
			if format != c.want || err != nil {
				t.Errorf("%s and %s: %q, %v; want %s", c.a, c.b, format, err, c.want)
			}
		case !errors.As(err, &a) || !errors.Is(err, luksimg.ErrAmbiguous) || len(a.Found) != 2 || a.Found[0].Offset == a.Found[1].Offset:
			t.Errorf("%s and %s: %q, %v", c.a, c.b, format, err)
		}
	}
	// A given format overrides detection.
	b := file("VHD", "ISO")
	for _, f := range []luksimg.Format{luksimg.Raw, luksimg.VHD} {
		if _, err := luksimg.OpenImage(t.Context(), bytes.NewReader(b), size, luksimg.ImageOptions{Format: f}); errors.Is(err, luksimg.ErrAmbiguous) {
			t.Errorf("format %s was given: %v", f, err)
		}
	}
}

// TestDamagedVHD changes a byte of every footer: the file must still be detected as a VHD.
func TestDamagedVHD(t *testing.T) {
	for _, name := range []string{"fixed-64k", "dynamic-5m"} {
		b := golden.Read("testdata/vhd/" + name + ".vhd.gz")
		for at := bytes.Index(b, []byte("conectix")); at < len(b) && at >= 0; {
			b[at+68]++
			next := bytes.Index(b[at+1:], []byte("conectix"))
			if next < 0 {
				break
			}
			at += 1 + next
		}
		_, err := luksimg.OpenImage(t.Context(), bytes.NewReader(b), int64(len(b)), luksimg.ImageOptions{})
		if err == nil || !strings.Contains(err.Error(), "footer checksum is wrong") {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := luksimg.Inspect(t.Context(), bytes.NewReader(b), int64(len(b)), luksimg.ImageOptions{}); err == nil {
			t.Errorf("%s: inspected", name)
		}
	}
}
