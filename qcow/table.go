package qcow

import (
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/luksimg/luksimg/internal/disk"
)

const (
	// offsetMask is the part of a table entry that is an offset in the file. All
	// else in it are flags and reserved bits.
	offsetMask = 0x00fffffffffffe00

	flagCopied     = 1 << 63
	flagCompressed = 1 << 62
	flagZero       = 1

	// L2 tables are read and kept in pages of this many bytes, or whole if they are
	// smaller.
	maxPage = 4096
)

// readL1 reads the entries of the L1 table at off that the disk needs. That they lie
// in the file has been checked.
func (d *Disk) readL1(off int64) error {
	d.l1Offset = off
	d.l1 = make([]uint64, d.h.l1Needed(d.disk.Size))
	buf := make([]byte, min(8*len(d.l1), 64<<10))
	tables := int64(0)
	for i := 0; i < len(d.l1); {
		b := buf[:min(len(buf), 8*(len(d.l1)-i))]
		if _, err := readFull(d.file.R, b, off+8*int64(i)); err != nil {
			return err
		}
		for ; len(b) > 0; b = b[8:] {
			d.l1[i] = binary.BigEndian.Uint64(b)
			if d.l1[i]&offsetMask != 0 {
				tables++
			}
			i++
		}
	}
	if room := d.h.fileSize >> d.h.clusterBits; tables > room {
		return fieldError(off, "L1 table", fmt.Sprintf("%d L2 tables", tables), "at most %d, as many as the file has clusters", room)
	}
	return d.distinctTables(tables)
}

// distinctTables refuses an L2 table, of so many, that stands in more than one L1 entry. That is
// always a mistake: snapshots share tables, each with an L1 table of its own. It bounds what it
// takes to go through all of the disk by the tables that are in the file.
func (d *Disk) distinctTables(tables int64) error {
	// Most tables are in the file in the order of the disk: then nothing is to be sorted.
	last, sorted := int64(0), true
	for _, e := range d.l1 {
		if t := int64(e & offsetMask); t != 0 {
			sorted = sorted && t > last
			last = t
		}
	}
	if sorted {
		return nil
	}
	all := make([]int64, 0, tables)
	for _, e := range d.l1 {
		// What is no table is told of where it is used.
		if t := int64(e & offsetMask); t != 0 && d.h.badCluster(t) == "" {
			all = append(all, t)
		}
	}
	slices.Sort(all)
	for k := 1; k < len(all); k++ {
		if all[k] != all[k-1] {
			continue
		}
		is := func(e uint64) bool { return int64(e&offsetMask) == all[k] }
		i := slices.IndexFunc(d.l1, is)
		j := i + 1 + slices.IndexFunc(d.l1[i+1:], is)
		return fieldError(d.l1Offset+8*int64(j), fmt.Sprintf("L1 entry %d", j), hex(d.l1[j]), "an L2 table that is not that of L1 entry %d", i)
	}
	return nil
}

// l2Table returns where the L2 table of an L1 entry is, 0 if there is none.
func (d *Disk) l2Table(i int64) (int64, error) {
	table := int64(d.l1[i] & offsetMask)
	if table == 0 {
		return 0, nil
	}
	if want := d.h.badCluster(table); want != "" {
		return 0, fieldError(d.l1Offset+8*i, fmt.Sprintf("L1 entry %d", i), hex(d.l1[i]), "an L2 table %s", want)
	}
	return table, nil
}

// badCluster tells what is wrong with the place of a cluster of metadata, which must
// lie in the file as a whole; "" if nothing is.
func (h *header) badCluster(off int64) string {
	switch {
	case off&(h.clusterSize()-1) != 0:
		return fmt.Sprintf("at a multiple of the cluster size %d", h.clusterSize())
	case off == 0:
		return "past the header"
	case off > h.fileSize-h.clusterSize():
		return fmt.Sprintf("that ends inside the file, which has %d bytes", h.fileSize)
	}
	return ""
}

// page returns the page of an L2 table, or of another table, that off is in.
func (d *Disk) page(off int64) (*disk.Page, error) { return d.pages.Page(&d.file, d.h.fileSize, off) }
