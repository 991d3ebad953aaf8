package contents

import (
	"encoding/binary"
	"fmt"

	"github.com/luksimg/luksimg/internal/mbr"
)

var le = binary.LittleEndian

const (
	typeExtended   = "extended"
	typeProtective = "gpt-protective"
)

// plausible reports whether all partitions are inside the disk.
func (i *inspection) plausible(m *mbr.Table) bool {
	sectors := i.disk.Size() / mbr.Size
	for _, e := range m.Entries {
		if e.Used() && (e.First == 0 || e.First >= sectors || e.Count > sectors-e.First) {
			return false
		}
	}
	return true
}

func partition(e mbr.Entry, number int, first int64) Partition {
	return Partition{
		Number:   number,
		Start:    first * mbr.Size,
		Size:     e.Count * mbr.Size,
		Type:     mbrType(e.Kind),
		TypeID:   fmt.Sprintf("0x%02x", e.Kind),
		Bootable: e.Active,
	}
}

// useMBR adds the partitions of an MBR.
func (i *inspection) useMBR(m *mbr.Table) {
	i.info.PartitionTable, i.info.SectorSize = MBR, mbr.Size
	if m.ID != 0 {
		i.info.DiskID = fmt.Sprintf("%08x", m.ID)
	}
	for n, e := range m.Entries {
		if e.Used() {
			i.add(partition(e, n+1, e.First))
		}
	}
	logical := 5
	for _, e := range m.Entries {
		if e.Extended() {
			logical = i.chain(e, logical)
		}
	}
	i.overlaps()
}

// chain adds the logical partitions, which are in a chain of extended boot records. Each has a
// partition and the place of the next record. chain returns the next free number.
func (i *inspection) chain(extended mbr.Entry, number int) int {
	seen := map[int64]bool{}
	for at := extended.First; ; {
		if seen[at] {
			i.warnf("the chain of logical partitions is a loop, at sector %d", at)
			return number
		}
		if len(seen) == maxPartitions {
			i.warnf("the chain of logical partitions has more than %d records", maxPartitions)
			return number
		}
		seen[at] = true
		b, err := i.disk.Bytes(at*mbr.Size, mbr.Size)
		if err != nil || len(b) < mbr.Size {
			i.warnf("could not read the extended boot record in sector %d", at)
			return number
		}
		if !mbr.Marked(b) {
			i.warnf("there is no extended boot record in sector %d", at)
			return number
		}
		m := mbr.Parse(b)
		if m == nil {
			return number // without entries: the extended partition is empty
		}
		next := int64(-1)
		for _, e := range m.Entries {
			switch {
			case !e.Used():
			case e.Extended():
				// From the start of the extended partition, not of this record.
				if next < 0 {
					next = extended.First + e.First
				}
			default:
				if !i.add(partition(e, number, at+e.First)) {
					return number
				}
				number++
			}
		}
		if next < 0 {
			return number
		}
		if next < extended.First || next >= extended.First+extended.Count {
			i.warnf("the chain of logical partitions leaves the extended partition, to sector %d", next)
			return number
		}
		at = next
	}
}
