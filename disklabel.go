package luksimg

import (
	"bytes"
	"io"

	"github.com/luksimg/luksimg/image"
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
	b := make([]byte, 4096+8)
	n, err := src.ReadAt(b, 0)
	if err != nil && err != io.EOF || n < 512 {
		return NoLabel
	}
	b = b[:n]
	// UEFI 2.10, section 5.3.2: the header is in the second sector, of 512 or of
	// 4096 bytes.
	for _, off := range []int{512, 4096} {
		if len(b) >= off+8 && bytes.Equal(b[off:off+8], []byte("EFI PART")) {
			return GPT
		}
	}
	if b[510] != 0x55 || b[511] != 0xaa {
		return NoLabel
	}
	// A boot sector of a filesystem ends with the same mark; a partition table has
	// entries with an active flag that is clear or set, and one that is in use.
	used := false
	for i := 446; i < 510; i += 16 {
		if b[i] != 0 && b[i] != 0x80 {
			return NoLabel
		}
		used = used || b[i+4] != 0 && !bytes.Equal(b[i+8:i+16], make([]byte, 8))
	}
	if used {
		return MBR
	}
	return NoLabel
}
