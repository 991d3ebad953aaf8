package contents

import (
	"errors"
	"fmt"
	"hash/crc32"
	"unicode/utf16"

	"github.com/luksimg/luksimg/contents/internal/bounded"
	"github.com/luksimg/luksimg/image"
	"github.com/luksimg/luksimg/internal/mbr"
)

// A GUID partition table (UEFI 2.10, section 5.3).
const (
	gptMark       = "EFI PART"
	gptHeaderSize = 92
	gptEntrySize  = 128     // minimum
	maxGPTEntries = 1 << 20 // maximum size of the array in bytes
	legacyBoot    = 1 << 2  // attribute
)

var errNoGPT = errors.New("no GPT header")

// A gpt holds one header with its entries.
type gpt struct {
	sector    int64 // sector size in bytes
	at        int64 // sector of the header
	alternate int64 // sector of the other header
	id        [16]byte
	entries   []byte
	entrySize int
}

// gpt returns the partition table of the first header, or, if backup is set, of the one at the end
// of the disk. If it returns nil, the error says why an existing header cannot be used.
func (i *inspection) gpt(backup bool) (*gpt, error) {
	var damage error
	sectors := []int64{512, 4096}
	for _, sector := range sectors {
		g, err := i.gptAt(1, sector)
		if err == nil {
			i.checkBackup(g)
			return g, nil
		}
		if err != errNoGPT && !errors.Is(err, bounded.ErrRange) {
			damage = err
		}
	}
	if !backup {
		return nil, damage
	}
	for _, sector := range sectors {
		g, err := i.gptAt(i.disk.Size()/sector-1, sector)
		if err != nil {
			continue
		}
		if damage == nil {
			damage = errNoGPT
		}
		i.warnf("the first GPT is damaged, the one at the end of the disk is used: %v", damage)
		return g, nil
	}
	return nil, damage
}

// gptAt reads and checks the header in a sector, and the entries that it refers to.
func (i *inspection) gptAt(at, sector int64) (*gpt, error) {
	if at < 1 {
		return nil, errNoGPT
	}
	h := make([]byte, sector)
	if err := i.disk.Read(h, at*sector); err != nil {
		return nil, err
	}
	if string(h[:8]) != gptMark {
		return nil, errNoGPT
	}
	bad := func(off int64, field string, value any, want string) error {
		return &image.FormatError{Format: "gpt", Offset: at*sector + off, Field: field, Value: value, Want: want}
	}
	size := le.Uint32(h[12:])
	if size < gptHeaderSize || int64(size) > sector {
		return nil, bad(12, "HeaderSize", size, fmt.Sprintf("from %d to %d", gptHeaderSize, sector))
	}
	sum := le.Uint32(h[16:])
	clear(h[16:20])
	if got := crc32.ChecksumIEEE(h[:size]); got != sum {
		return nil, bad(16, "HeaderCRC32", fmt.Sprintf("%#x", sum), fmt.Sprintf("%#x", got))
	}
	if own := le.Uint64(h[24:]); own != uint64(at) {
		return nil, bad(24, "MyLBA", own, fmt.Sprint(at))
	}
	array, count, entry := le.Uint64(h[72:]), le.Uint32(h[80:]), le.Uint32(h[84:])
	if entry < gptEntrySize || entry > 4096 || entry&(entry-1) != 0 {
		return nil, bad(84, "SizeOfPartitionEntry", entry, "128 times a power of two, at most 4096")
	}
	length := int64(count) * int64(entry)
	if length > maxGPTEntries {
		return nil, bad(80, "NumberOfPartitionEntries", count, fmt.Sprintf("at most %d", maxGPTEntries/entry))
	}
	if array < 2 || array > uint64(i.disk.Size()/sector) {
		return nil, bad(72, "PartitionEntryLBA", array, "inside the disk")
	}
	g := &gpt{sector: sector, at: at, id: [16]byte(h[56:]), entries: make([]byte, length), entrySize: int(entry)}
	// Limit it to a value past the end of every disk.
	g.alternate = int64(min(le.Uint64(h[32:]), 1<<62/uint64(sector)))
	if err := i.disk.Read(g.entries, int64(array)*sector); err != nil {
		return nil, err
	}
	if got, want := crc32.ChecksumIEEE(g.entries), le.Uint32(h[88:]); got != want {
		return nil, bad(88, "PartitionEntryArrayCRC32", fmt.Sprintf("%#x", want), fmt.Sprintf("%#x", got))
	}
	return g, nil
}

// checkBackup warns if the second header is damaged or not at the end of the disk.
func (i *inspection) checkBackup(g *gpt) {
	last := i.disk.Size()/g.sector - 1
	if b, err := i.gptAt(g.alternate, g.sector); err != nil {
		i.warnf("the second GPT, in sector %d, is damaged: %v", g.alternate, err)
	} else if string(b.entries) != string(g.entries) {
		i.warnf("the two GPTs differ: the first one is used")
	} else if g.alternate < last {
		i.warnf("the second GPT is in sector %d, not in the last one, %d: the disk was made larger", g.alternate, last)
	}
}

// useGPT adds the partitions of a GPT. m is the MBR beside it.
func (i *inspection) useGPT(g *gpt, m *mbr.Table) {
	i.info.PartitionTable, i.info.SectorSize, i.info.DiskID = GPT, int(g.sector), guid(g.id[:])
	if m == nil {
		i.warnf("the disk has a GPT, but no protective MBR")
	} else {
		for _, e := range m.Entries {
			if e.Used() && e.Kind != mbr.KindGPT {
				i.warnf("the disk has a hybrid MBR beside the GPT: its partitions were ignored")
				break
			}
		}
	}
	for n := range len(g.entries) / g.entrySize {
		e := g.entries[n*g.entrySize:][:g.entrySize]
		if [16]byte(e) == [16]byte{} {
			continue
		}
		p := Partition{Number: n + 1, TypeID: guid(e), Name: utf16Name(e[56:128]), UUID: guid(e[16:]), Bootable: le.Uint64(e[48:])&legacyBoot != 0}
		p.Type = gptType(p.TypeID)
		first, last := le.Uint64(e[32:]), le.Uint64(e[40:])
		if limit := uint64(1<<62) / uint64(g.sector); first > last || last >= limit {
			i.warnf("partition %d goes from sector %d to %d", n+1, first, last)
		} else {
			p.Start, p.Size = int64(first)*g.sector, int64(last-first+1)*g.sector
		}
		if !i.add(p) {
			break
		}
	}
	i.overlaps()
}

// guid formats a GUID, whose first three fields are little-endian.
func guid(b []byte) string {
	return fmt.Sprintf("%08x-%04x-%04x-%x-%x", le.Uint32(b), le.Uint16(b[4:]), le.Uint16(b[6:]), b[8:10], b[10:16])
}

// utf16Name decodes a name that ends at a NUL or fills its field.
func utf16Name(b []byte) string {
	var units []uint16
	for ; len(b) >= 2; b = b[2:] {
		u := le.Uint16(b)
		if u == 0 {
			break
		}
		units = append(units, u)
	}
	return clean(string(utf16.Decode(units)))
}
