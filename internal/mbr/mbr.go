// Package mbr reads the partition table of a master boot record, as in UEFI 2.10, section 5.2.1.
package mbr

import "encoding/binary"

// Offsets in the record, in bytes.
const (
	Size     = 512 // of the record, and of the sectors that its entries count
	OffMark  = 510 // of 0x55, 0xaa
	offID    = 440
	offTable = 446
	entry    = 16

	// KindGPT is the kind of an entry that stands for a GPT beside the record.
	KindGPT = 0xee
)

// A Table is the partition table of a master boot record, or of an extended one.
type Table struct {
	ID         uint32 // of the disk, 0 if it has none
	Entries    [4]Entry
	Protective bool // one of the entries stands for a GPT
}

// An Entry is what a table says of one partition.
type Entry struct {
	Active bool
	Kind   byte  // 0 if there is none
	First  int64 // sector
	Count  int64 // sectors
}

// Used reports whether there is a partition.
func (e Entry) Used() bool { return e.Kind != 0 && e.Count != 0 }

// Extended reports whether more partitions are inside.
func (e Entry) Extended() bool {
	return e.Used() && (e.Kind == 0x05 || e.Kind == 0x0f || e.Kind == 0x85)
}

// Marked reports whether a sector has the mark of a boot record. The boot sectors of filesystems
// have the same one.
func Marked(b []byte) bool { return len(b) >= Size && b[OffMark] == 0x55 && b[OffMark+1] == 0xaa }

// Parse returns the partition table in a sector, or nil if it has none: a table has the mark,
// entries whose active flag is clear or set, and one at least that is used.
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
