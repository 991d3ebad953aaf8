// Package mbr parses the partition table of a master boot record (UEFI 2.10, section 5.2.1).
package mbr

import "encoding/binary"

// Offsets in the record, in bytes.
const (
	Size     = 512 // size of the record and of a sector
	OffMark  = 510 // boot signature 0x55, 0xaa
	offID    = 440
	offTable = 446
	entry    = 16

	// KindGPT is the kind of the entry in a protective MBR.
	KindGPT = 0xee
)

// A Table is the partition table of a master or extended boot record.
type Table struct {
	ID         uint32 // disk signature, 0 if there is none
	Entries    [4]Entry
	Protective bool // an entry has KindGPT
}

// An Entry describes one partition.
type Entry struct {
	Active bool
	Kind   byte  // 0 for an unused entry
	First  int64 // first sector
	Count  int64 // sectors
}

// Used reports whether the entry describes a partition.
func (e Entry) Used() bool { return e.Kind != 0 && e.Count != 0 }

// Extended reports whether the partition contains further partitions.
func (e Entry) Extended() bool {
	return e.Used() && (e.Kind == 0x05 || e.Kind == 0x0f || e.Kind == 0x85)
}

// Marked reports whether a sector has the boot signature. Boot sectors of filesystems have it too.
func Marked(b []byte) bool { return len(b) >= Size && b[OffMark] == 0x55 && b[OffMark+1] == 0xaa }

// Parse returns the partition table in a sector, or nil if there is none. A table has the boot
// signature, active flags of 0x00 or 0x80 only, and at least one used entry.
func Parse(b []byte) *Table {
	if !Marked(b) {
		return nil
	}
	le := binary.LittleEndian
	t := &Table{ID: le.Uint32(b[offID:])}
	used := false
	for i := range t.Entries {
		e := b[offTable+entry*i:][:entry]
		if e[0] != 0 && e[0] != 0x80 {
			return nil
		}
		t.Entries[i] = Entry{e[0] == 0x80, e[4], int64(le.Uint32(e[8:])), int64(le.Uint32(e[12:]))}
		used = used || t.Entries[i].Used()
		t.Protective = t.Protective || t.Entries[i].Kind == KindGPT && t.Entries[i].Used()
	}
	if !used {
		return nil
	}
	return t
}
