package luksimg_test

import (
	"bytes"
	"encoding/binary"
	"strings"
	"testing"

	"github.com/luksimg/luksimg"
	"github.com/luksimg/luksimg/internal/golden"
)

func TestLabelOf(t *testing.T) {
	b := make([]byte, 8192)
	label := func() luksimg.DiskLabel { return luksimg.LabelOf(bytes.NewReader(b)) }
	if got := label(); got != luksimg.NoLabel {
		t.Errorf("zeros: %s", got)
	}
	b[510], b[511] = 0x55, 0xaa
	if got := label(); got != luksimg.NoLabel {
		t.Errorf("boot sector without partitions: %s", got)
	}
	b[446], b[450], b[454], b[458] = 0x80, 0x83, 1, 1
	if got := label(); got != luksimg.MBR {
		t.Errorf("a partition: %s", got)
	}
	b[462] = 7 // no valid partition flag: boot code of a filesystem
	if got := label(); got != luksimg.NoLabel {
		t.Errorf("boot sector of a filesystem: %s", got)
	}
	copy(b[512:], "EFI PART")
	if got := label(); got != luksimg.GPT {
		t.Errorf("GPT: %s", got)
	}
	clear(b[512:520])
	copy(b[4096:], "EFI PART")
	if got := label(); got != luksimg.GPT {
		t.Errorf("GPT in sectors of 4096 bytes: %s", got)
	}
	if got := luksimg.LabelOf(bytes.NewReader(b[:100])); got != luksimg.NoLabel {
		t.Errorf("100 bytes: %s", got)
	}
}

// TestLabelSectorSize checks GPTs, whose position gives the sector size, and an MBR, which does not
// record it.
func TestLabelSectorSize(t *testing.T) {
	const (
		entry      = "\x00\x00\x00\x00\x83\x00\x00\x00\x01\x00\x00\x00\x01"
		protective = "\x00\x00\x00\x00\xee\x00\x00\x00\x01\x00\x00\x00\x01"
	)
	for _, c := range []struct {
		name  string
		label luksimg.DiskLabel
		want  int
		put   map[int]string
	}{
		{"nothing", luksimg.NoLabel, 0, nil},
		{"a GPT in 512", luksimg.GPT, 512, map[int]string{512: "EFI PART"}},
		{"a GPT in 4096", luksimg.GPT, 4096, map[int]string{4096: "EFI PART", 446: protective, 510: "\x55\xaa"}},
		{"a GPT in 4096 and no MBR", luksimg.GPT, 4096, map[int]string{4096: "EFI PART"}},
		{"both", luksimg.GPT, 512, map[int]string{512: "EFI PART", 4096: "EFI PART"}},
		{"an MBR", luksimg.MBR, 512, map[int]string{446: entry, 510: "\x55\xaa"}},
		{"an MBR, and an old GPT in 4096", luksimg.MBR, 512, map[int]string{446: entry, 510: "\x55\xaa", 4096: "EFI PART"}},
	} {
		b := make([]byte, 8192)
		for off, text := range c.put {
			copy(b[off:], text)
		}
		src := bytes.NewReader(b)
		if label, size := luksimg.LabelOf(src), luksimg.LabelSectorSize(src); label != c.label || size != c.want {
			t.Errorf("%s: %s in sectors of %d bytes, want %s in %d", c.name, label, size, c.label, c.want)
		}
		i, err := luksimg.Inspect(t.Context(), src, src.Size(), luksimg.ImageOptions{})
		if err != nil || strings.Contains(strings.Join(i.Notes, " "), "4096") != (c.want == 4096) {
			t.Errorf("%s: %+v, %v", c.name, i, err)
		}
	}
}

// TestVHDXSectors puts an MBR on a VHDX with each sector size.
func TestVHDXSectors(t *testing.T) {
	for _, size := range []int{512, 4096} {
		b := golden.Read("testdata/vhdx/fixed.vhdx.gz")
		// The second sector of the disk is filled with 0x33.
		first := bytes.Index(b, bytes.Repeat([]byte{0x33}, 512)) - 512
		copy(b[first+446:], "\x00\x00\x00\x00\x83\x00\x00\x00\x01\x00\x00\x00\x01")
		copy(b[first+510:], "\x55\xaa")
		// The metadata table has an entry for LogicalSectorSize, with its offset in the region.
		at := bytes.Index(b, []byte("\x1d\xbf\x41\x81\x6f\xa9\x09\x47\xba\x47\xf2\x33\xa8\xfa\xab\x5f"))
		table := bytes.Index(b, []byte("metadata"))
		if first < 0 || at < 0 || table < 0 {
			t.Fatal("the golden file has changed")
		}
		binary.LittleEndian.PutUint32(b[table+int(binary.LittleEndian.Uint32(b[at+16:])):], uint32(size))
		img, err := luksimg.OpenImage(t.Context(), bytes.NewReader(b), int64(len(b)), luksimg.ImageOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if got := luksimg.LabelSectorSize(img); img.SectorSize != size || got != size || luksimg.LabelOf(img) != luksimg.MBR {
			t.Errorf("sectors of %d bytes, partition table in %d, want %d", img.SectorSize, got, size)
		}
	}
}
