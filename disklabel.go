package luksimg

import (
	"bytes"
	"fmt"
	"io"

	"github.com/luksimg/luksimg/image"
	"github.com/luksimg/luksimg/internal/mbr"
	"github.com/luksimg/luksimg/internal/pieces"
)

// A DiskLabel is the kind of a disk's partition table.
type DiskLabel string

// The kinds of partition tables.
const (
	NoLabel DiskLabel = "none" // a filesystem on the whole disk, or nothing
	MBR     DiskLabel = "mbr"
	GPT     DiskLabel = "gpt"
)

// LabelOf returns the kind of partition table on a disk. It reads only the first sectors. If they
// cannot be read, it returns NoLabel.
func LabelOf(src image.Source) DiskLabel {
	label, _ := labelOf(src)
	return label
}

// LabelSectorSize returns the size in bytes of the sectors that a disk's partition table counts in: 512
// or 4096, 0 if there is no table. A disk with sectors of another size does not show the partitions.
// The position of a GPT header gives the size. An MBR does not record it: the size is
// [Image.SectorSize], or else 512.
func LabelSectorSize(src image.Source) int {
	_, size := labelOf(src)
	return size
}

// sectorSizeOf returns the sector size of a disk in bytes: that of its partition table, or else that of
// its container, or else 512.
func sectorSizeOf(src image.Source) int {
	if n := LabelSectorSize(src); n != 0 {
		return n
	}
	if i, ok := src.(*Image); ok && i.SectorSize != 0 {
		return i.SectorSize
	}
	return 512
}

func labelOf(src image.Source) (label DiskLabel, sectorSize int) {
	b := make([]byte, 4096+8)
	n, err := src.ReadAt(b, 0)
	if err != nil && err != io.EOF || n < 512 {
		return NoLabel, 0
	}
	b = b[:n]
	table := mbr.Parse(b)
	// UEFI 2.10, section 5.3.2: the header is in the second sector, which has 512 or 4096 bytes. If the
	// MBR is not protective, a header at 4096 is left over from an earlier use.
	for _, off := range []int{512, 4096} {
		if len(b) >= off+8 && bytes.Equal(b[off:off+8], []byte("EFI PART")) && (off == 512 || table == nil || table.Protective) {
			return GPT, off
		}
	}
	if table == nil {
		return NoLabel, 0
	}
	if i, ok := src.(*Image); ok && i.SectorSize != 0 {
		return MBR, i.SectorSize
	}
	return MBR, 512
}

// text describes a disk with the label, with an article.
func (l DiskLabel) text() string {
	return map[DiskLabel]string{NoLabel: "no partition table", MBR: "a raw disk with an MBR", GPT: "a raw disk with a GPT"}[l]
}

// partitionTable returns the kind of the partition table in the first two sectors of a file, and the
// offset of its signature. It is stricter than [LabelOf]: a GPT header must also have the right
// revision and length.
func partitionTable(r io.ReaderAt, size int64) (DiskLabel, int64) {
	const gptHeader = "EFI PART\x00\x00\x01\x00\x5c\x00\x00\x00" // UEFI 2.10, table 5-5
	b := make([]byte, 512+len(gptHeader))
	if size < int64(len(b)) || pieces.ReadFull(r, b, 0) != nil {
		return NoLabel, 0
	}
	if string(b[512:]) == gptHeader {
		return GPT, 512
	}
	if mbr.Parse(b) != nil {
		return MBR, mbr.OffMark
	}
	return NoLabel, 0
}

// A DiskChange describes how the disk in an image differs from its source.
type DiskChange struct {
	SectorSize int    // bytes
	Longer     int64  // bytes of zeros added at the end
	Why        string // the reason for Longer; "" if it needs no warning
}

// Warnings describe what the change means for the partition table on the disk src.
func (c DiskChange) Warnings(src image.Source) []string {
	var all []string
	warn := func(format string, args ...any) { all = append(all, fmt.Sprintf(format, args...)) }
	switch {
	case c.Longer <= 0:
	case LabelOf(src) == GPT:
		warn("the backup GPT header is no longer at the end of the disk: the disk became %d bytes longer. "+
			"Most systems repair this at boot; sgdisk --move-second-header does it by hand", c.Longer)
	case c.Why != "":
		warn("the disk became %d bytes longer: %s", c.Longer, c.Why)
	}
	switch counts := LabelSectorSize(src); {
	case counts == 0 || counts == c.SectorSize:
	case counts == 4096:
		warn("the partition table counts in sectors of 4096 bytes, and will not be found with sectors of %d: "+
			"luksimg encrypt --sector-size 4096 makes a LUKS2 image with such sectors", c.SectorSize)
	default:
		warn("the partition table counts in sectors of %d bytes; with sectors of %d bytes "+
			"its partitions will not be found", counts, c.SectorSize)
	}
	return all
}

// Change returns how the disk in the image differs from the disk that was encrypted.
func (r *Result) Change() DiskChange {
	return DiskChange{SectorSize: max(r.LUKS.SectorSize, 512), Longer: r.VolumeSize - r.SourceSize}
}
