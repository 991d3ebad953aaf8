package qcow

import (
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/luksimg/luksimg/internal/disk"
)

const (
	// offsetMask selects the offset in a table entry. The other bits are flags or reserved.
	offsetMask = 0x00fffffffffffe00

	flagCopied     = 1 << 63
	flagCompressed = 1 << 62
	flagZero       = 1

	// L2 tables are cached in pages of this many bytes. Smaller tables are cached whole.
	maxPage = 4096
)

// readL1 reads the L1 table at off, as far as the disk needs it. The caller has checked that it
// lies in the file.
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
		return fieldError(off, "L1 table", fmt.Sprintf("%d L2 tables", tables), "at most %d, the number of clusters in the file", room)
	}
	return d.distinctTables(tables)
}

// distinctTables refuses an L2 table that more than one L1 entry refers to. That is always an
// error, as a snapshot shares tables through its own L1 table. The check bounds the work of a walk
// over the disk by the number of tables in the file.
func (d *Disk) distinctTables(tables int64) error {
	// Most files hold the tables in the order of the disk; then no sort is needed.
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
		// A use of an invalid entry reports the error.
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
		return fieldError(d.l1Offset+8*int64(j), fmt.Sprintf("L1 entry %d", j), hex(d.l1[j]), "an L2 table other than that of L1 entry %d", i)
	}
	return nil
}

// l2Table returns the offset of the L2 table of L1 entry i, or 0 if there is none.
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

// badCluster returns the rule that the offset of a metadata cluster breaks, or "". The whole
// cluster must lie in the file.
func (h *header) badCluster(off int64) string {
	switch {
	case off&(h.clusterSize()-1) != 0:
		return fmt.Sprintf("at a multiple of the cluster size %d", h.clusterSize())
	case off == 0:
		return "past the header"
	case off > h.fileSize-h.clusterSize():
		return fmt.Sprintf("that ends inside the file of %d bytes", h.fileSize)
	}
	return ""
}

// page returns the page of a table that contains off.
func (d *Disk) page(off int64) (*disk.Page, error) { return d.pages.Page(&d.file, d.h.fileSize, off) }
