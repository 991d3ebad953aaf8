package contents

import (
	"encoding/binary"
	"fmt"
)

var le = binary.LittleEndian

// An MBR partition table, as in UEFI 2.10, section 5.2.1. Its sectors have 512 bytes.
const (
	mbrSector   = 512
	offDiskID   = 440
	offEntries  = 446
	entrySize   = 16
	offBootMark = 510

	typeExtended   = "extended"
	typeProtective = "gpt-protective"
)

// An mbr is a master boot record, or an extended one.
type mbr struct {
	id         uint32
	entries    [4]mbrEntry
	protective bool // has an entry that stands for a GPT
}

type mbrEntry struct {
	active bool
	kind   byte // 0 if there is none
	first  int64
	count  int64 // sectors
}

// used reports whether there is a partition.
func (e mbrEntry) used() bool { return e.kind != 0 && e.count != 0 }

// extended reports whether more partitions are inside.
func (e mbrEntry) extended() bool {
	return e.used() && (e.kind == 0x05 || e.kind == 0x0f || e.kind == 0x85)
}

// parseMBR returns the partition table in a sector, or nil if it holds none: the boot
// sectors of filesystems end with the same mark.
func parseMBR(b []byte) *mbr {
	if len(b) < mbrSector || le.Uint16(b[offBootMark:]) != 0xaa55 {
		return nil
	}
	m := &mbr{id: le.Uint32(b[offDiskID:])}
	used := false
	for i := range m.entries {
		e := b[offEntries+entrySize*i:][:entrySize]
		if e[0] != 0 && e[0] != 0x80 {
			return nil
		}
		m.entries[i] = mbrEntry{e[0] == 0x80, e[4], int64(le.Uint32(e[8:])), int64(le.Uint32(e[12:]))}
		used = used || m.entries[i].used()
		m.protective = m.protective || m.entries[i].kind == 0xee && m.entries[i].used()
	}
	if !used {
		return nil
	}
	return m
}

// plausible reports whether all partitions are inside the disk.
func (i *inspection) plausible(m *mbr) bool {
	sectors := i.disk.Size() / mbrSector
	for _, e := range m.entries {
		if e.used() && (e.first == 0 || e.first >= sectors || e.count > sectors-e.first) {
			return false
		}
	}
	return true
}

func (e mbrEntry) partition(number int, first int64) Partition {
	return Partition{
		Number:   number,
		Start:    first * mbrSector,
		Size:     e.count * mbrSector,
		Type:     mbrType(e.kind),
		TypeID:   fmt.Sprintf("0x%02x", e.kind),
		Bootable: e.active,
	}
}

// useMBR takes the partitions of an MBR.
func (i *inspection) useMBR(m *mbr) {
	i.info.PartitionTable, i.info.SectorSize = MBR, mbrSector
	if m.id != 0 {
		i.info.DiskID = fmt.Sprintf("%08x", m.id)
	}
	for n, e := range m.entries {
		if e.used() {
			i.add(e.partition(n+1, e.first))
		}
	}
	logical := 5
	for _, e := range m.entries {
		if e.extended() {
			logical = i.chain(e, logical)
		}
	}
	i.overlaps()
}

// chain takes the logical partitions, which are a chain of extended boot records: each
// has a partition, and where the next one is. It returns the next free number.
func (i *inspection) chain(extended mbrEntry, number int) int {
	seen := map[int64]bool{}
	for at := extended.first; ; {
		if seen[at] {
			i.warnf("the chain of logical partitions is a loop, at sector %d", at)
			return number
		}
		if len(seen) == maxPartitions {
			i.warnf("the chain of logical partitions has more than %d records", maxPartitions)
			return number
		}
		seen[at] = true
		b, err := i.disk.Bytes(at*mbrSector, mbrSector)
		if err != nil || len(b) < mbrSector {
			i.warnf("could not read the extended boot record in sector %d", at)
			return number
		}
		if le.Uint16(b[offBootMark:]) != 0xaa55 {
			i.warnf("there is no extended boot record in sector %d", at)
			return number
		}
		m := parseMBR(b)
		if m == nil {
			return number // without entries: the extended partition is empty
		}
		next := int64(-1)
		for _, e := range m.entries {
			switch {
			case !e.used():
			case e.extended():
				// From the start of the extended partition, not of this record.
				if next < 0 {
					next = extended.first + e.first
				}
			default:
				if !i.add(e.partition(number, at+e.first)) {
					return number
				}
				number++
			}
		}
		if next < 0 {
			return number
		}
		if next < extended.first || next >= extended.first+extended.count {
			i.warnf("the chain of logical partitions leaves the extended partition, to sector %d", next)
			return number
		}
		at = next
	}
}
