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

// The partition tables that are told apart.
const (
	NoLabel DiskLabel = "none" // a filesystem on the whole disk, or nothing
	MBR     DiskLabel = "mbr"
	GPT     DiskLabel = "gpt"
)

// LabelOf returns the kind of partition table on a disk. It looks at the first
// sectors only; what can not be read is NoLabel.
func LabelOf(src image.Source) DiskLabel {
	label, _ := labelOf(src)
	return label
}

// LabelSectorSize returns the size of the sectors that the partition table of a disk counts
// in, 512 or 4096 bytes, and 0 if it has none. What counts in sectors of another size does
// not find the partitions. A GPT is found by its place. An MBR does not tell: it is that of
// [Image.SectorSize], or else 512.
func LabelSectorSize(src image.Source) int {
	_, size := labelOf(src)
	return size
}

// sectorSizeOf returns the size in bytes of the sectors of a disk: what its partition table counts in,
// or else what its container says; 512 if nothing tells.
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
	// UEFI 2.10, section 5.3.2: the header is in the second sector, of 512 or of
	// 4096 bytes. Beside an MBR that does not tell of it, one of 4096 is left over.
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

// text is what a disk with the label has, with its article.
func (l DiskLabel) text() string {
	return map[DiskLabel]string{NoLabel: "no partition table", MBR: "a raw disk with an MBR", GPT: "a raw disk with a GPT"}[l]
}

// partitionTable returns the kind of the partition table in the first two sectors of a file,
// and where its mark is. It is more strict than [LabelOf]: a header of GPT has its revision and
// its length, too.
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

// A DiskChange is how a disk in an image differs from the one that it was made of.
type DiskChange struct {
	SectorSize int    // bytes
	Longer     int64  // so many bytes of zeros are at its end
	Why        string // it is longer; "" if that need not be said
}

// Warnings returns what a change means for the partition table on the disk src.
func (c DiskChange) Warnings(src image.Source) []string {
	var all []string
	warn := func(format string, args ...any) { all = append(all, fmt.Sprintf(format, args...)) }
	switch {
	case c.Longer <= 0:
	case LabelOf(src) == GPT:
		warn("the disk has a GPT, whose backup header is no longer at the end of the disk: the disk became %d bytes longer. "+
			"Most systems put that right when they boot; sgdisk --move-second-header does it by hand", c.Longer)
	case c.Why != "":
		warn("the disk became %d bytes longer: %s", c.Longer, c.Why)
	}
	switch counts := LabelSectorSize(src); {
	case counts == 0 || counts == c.SectorSize:
	case counts == 4096:
		warn("the partition table of the disk counts in sectors of 4096 bytes, and will not be found with sectors of %d: "+
			"luksimg encrypt --sector-size 4096 makes a LUKS2 image that has them", c.SectorSize)
	default:
		warn("the disk has a partition table, which counts in sectors of %d bytes; with sectors of %d bytes "+
			"its partitions will not be found", counts, c.SectorSize)
	}
	return all
}

// Change is how the disk in the image differs from the one that was encrypted.
func (r *Result) Change() DiskChange {
	return DiskChange{SectorSize: max(r.LUKS.SectorSize, 512), Longer: r.VolumeSize - r.SourceSize}
}
