package qcow

import (
	"encoding/binary"
)

// Reserved bits of table entries, which must be zero.
const (
	reservedL1 = 0x7f000000000001ff
	reservedL2 = 0x3f000000000001fe
)

// disks counts the references from the disk and all snapshots. It reads a shared L2 table only
// once, as a hostile image can share one among all entries.
func (c *checker) disks() error {
	for lo := int64(0); ; {
		tables := newCounter(lo)
		if err := c.tables(tables, lo == 0); err != nil {
			return err
		}
		err := tables.each(func(cluster int64, times uint32) error {
			off := cluster << c.h.clusterBits
			c.use(useTable, off, c.h.clusterSize(), times, "L2 table")
			return c.l2(off, times)
		})
		if err != nil {
			return err
		}
		if lo = tables.hi; lo > c.h.fileSize>>c.h.clusterBits {
			return nil
		}
	}
}

// tables counts how often each L2 table is used. It counts the L1 tables of snapshots in the first
// round only.
func (c *checker) tables(to *counter, first bool) error {
	l1 := func(off, n int64, name string) error {
		return c.words(off, n, func(i int64, v uint64) error {
			table := int64(v & offsetMask)
			if first && v&reservedL1 != 0 {
				c.bad("%s entry %d is %#x: reserved bits are set", name, i, v)
			}
			if table == 0 {
				return nil
			}
			if want := c.h.badCluster(table); want == "" {
				to.add(table>>c.h.clusterBits, useTable, 1)
			} else if first {
				c.bad("%s entry %d is %#x, want an L2 table %s", name, i, v, want)
			}
			return nil
		})
	}
	if err := l1(c.h.l1Offset, c.h.l1Size, "L1"); err != nil {
		return err
	}
	sum := int64(0)
	for i := range c.d.snapshots {
		s := &c.d.snapshots[i]
		if err := s.checkL1(c.h); err != nil {
			if first {
				c.bad("%v", err)
			}
			continue
		}
		if sum += s.l1Size * 8; sum > c.h.fileSize {
			if first {
				c.bad("the L1 tables of the first %d snapshots are together larger than the file", i+1)
			}
			return nil
		}
		if first {
			c.use(useMeta, s.l1Offset, s.l1Size*8, 1, "L1 table of snapshot %q", s.ID)
		}
		if err := l1(s.l1Offset, s.l1Size, "snapshot L1"); err != nil {
			return err
		}
	}
	return nil
}

// l2 counts the references in an L2 table.
func (c *checker) l2(table int64, times uint32) error {
	extended := c.h.extendedL2()
	var e uint64 // first half of an extended entry
	return c.words(table, c.h.clusterSize()/8, func(i int64, v uint64) error {
		at := table + 8*i
		if !extended {
			c.entry(at, v, 0, times)
		} else if i%2 == 0 {
			e = v
		} else {
			c.entry(at-8, e, v, times)
		}
		return nil
	})
}

// entry counts the references of an L2 entry. bitmap is its subcluster bitmap, if it has one.
func (c *checker) entry(at int64, e, bitmap uint64, times uint32) {
	if e&flagCompressed != 0 {
		off, _, err := c.d.compressedRange(e, at)
		if err == nil && c.h.dataFile() {
			err = entryError(at, e, "an uncompressed cluster, as the image has an external data file")
		}
		if err != nil {
			c.bad("%v", err)
			return
		}
		// The data counts in whole sectors, even past the end of the file.
		shift := 62 - (c.h.clusterBits - 8)
		n := (int64(e>>shift&(1<<(c.h.clusterBits-8)-1)) + 1) * 512
		c.use(useData, off&^511, n, times, "L2 entry at %#x, compressed", at)
		return
	}
	if e&reservedL2 != 0 {
		c.bad("L2 entry at %#x is %#x: reserved bits are set", at, e)
	}
	if data, zero := uint32(bitmap), uint32(bitmap>>32); data&zero != 0 {
		c.bad("subcluster bitmap at %#x is %#x: subclusters are both allocated and zero", at+8, bitmap)
	} else if data != 0 && e&offsetMask == 0 && !c.h.dataFile() {
		c.bad("subcluster bitmap at %#x is %#x: subclusters are allocated, but the cluster is not", at+8, bitmap)
	}
	host := int64(e & offsetMask)
	if host == 0 || c.h.dataFile() {
		return
	}
	switch {
	case host&(c.h.clusterSize()-1) != 0:
		c.bad("L2 entry at %#x is %#x: not at a multiple of the cluster size", at, e)
	case host >= c.h.fileSize:
		c.bad("L2 entry at %#x is %#x: past the end of the file at %#x", at, e, c.h.fileSize)
	default:
		c.use(useData, host, c.h.clusterSize(), times, "L2 entry at %#x", at)
	}
}

// active checks the tables of the current disk. It updates the statistics and checks the flags that
// mark clusters with a single reference.
func (c *checker) active() error {
	h := c.h
	c.TotalClusters = (h.size + h.clusterSize() - 1) >> h.clusterBits
	size := int64(1) << h.entryBits()
	var after int64 // offset of the next cluster if not fragmented
	used := int64(0)
	return c.words(h.l1Offset, h.l1Size, func(i int64, v uint64) error {
		table := int64(v & offsetMask)
		if table == 0 || h.badCluster(table) != "" {
			return nil
		}
		if used++; used > h.fileSize>>h.clusterBits {
			return nil // too many tables, which disks has reported
		}
		if err := c.copied("L2 table", h.l1Offset+8*i, v, table); err != nil {
			return err
		}
		return c.words(table, h.clusterSize()/8, func(j int64, e uint64) error {
			if j*8%size != 0 {
				return nil
			}
			at := table + 8*j
			return c.stats(i<<h.tableSpanBits()+j*8/size<<h.clusterBits, at, e, &after)
		})
	})
}

// stats updates the statistics for the cluster at pos of the disk. Its L2 entry e is at offset at.
func (c *checker) stats(pos, at int64, e uint64, after *int64) error {
	host := int64(e & offsetMask)
	switch {
	case e&flagCompressed != 0:
		c.AllocatedClusters++
		c.CompressedClusters++
		c.FragmentedClusters++ // as qemu-img counts
		if e&flagCopied != 0 {
			c.corrupt("L2 entry at %#x is %#x: bit 63 is set for a compressed cluster", at, e)
		}
	case c.h.dataFile():
		if host == 0 && e&flagCopied == 0 {
			return nil
		}
		c.AllocatedClusters++
		if host != pos {
			c.corrupt("L2 entry at %#x is %#x: want %#x, its offset on the disk, in an external data file", at, e, pos)
		}
	case host != 0:
		c.AllocatedClusters++
		if *after != 0 && *after != host {
			c.FragmentedClusters++
		}
		*after = host + c.h.clusterSize()
		if host >= c.h.fileSize || host&(c.h.clusterSize()-1) != 0 {
			return nil
		}
		return c.copied("cluster", at, e, host)
	}
	return nil
}

// copied checks that bit 63 of a table entry is set exactly if the reference count is 1.
func (c *checker) copied(what string, at int64, e uint64, host int64) error {
	n, err := c.refcount(host >> c.h.clusterBits)
	if err != nil {
		return err
	}
	if has := e&flagCopied != 0; has != (n == 1) {
		c.corrupt("%s: the entry at %#x is %#x, but bit 63 does not fit the reference count %d", what, at, e, n)
	}
	return nil
}

const (
	bitmapEntrySize = 24 // size of a directory entry without name and extra data
	maxBitmaps      = 65535
)

// bitmaps counts the references of persistent dirty bitmaps. If a writer without support for
// bitmaps wrote the image, the bitmaps are leaked.
func (c *checker) bitmaps() error {
	h := c.h
	if !h.hasBitmaps || h.autoclear&autoclearBitmaps == 0 {
		return nil
	}
	if err := h.checkRange(0, "bitmap_directory_offset", h.bitmapDir, h.bitmapSize); err != nil {
		c.bad("%v", err)
		return nil
	}
	c.use(useMeta, h.bitmapDir, h.bitmapSize, 1, "bitmap directory")
	be := binary.BigEndian
	sum := int64(0)
	off, end := h.bitmapDir, h.bitmapDir+h.bitmapSize
	for i := range min(h.bitmaps, maxBitmaps) {
		var b [bitmapEntrySize]byte
		if end-off < bitmapEntrySize {
			c.bad("bitmap %d is past the end of the directory at %#x", i, end)
			return nil
		}
		if _, err := readFull(c.d.file.R, b[:], off); err != nil {
			return err
		}
		table, n := clampInt64(be.Uint64(b[:])), int64(be.Uint32(b[8:]))
		off += (bitmapEntrySize + int64(be.Uint16(b[18:])) + int64(be.Uint32(b[20:])) + 7) &^ 7
		if err := h.checkRange(off, "bitmap_table_offset", table, n*8); err != nil {
			c.bad("%v", err)
			continue
		}
		if sum += n * 8; sum > h.fileSize {
			c.bad("the tables of the first %d bitmaps are together larger than the file", i+1)
			return nil
		}
		c.use(useMeta, table, n*8, 1, "table of bitmap %d", i)
		err := c.words(table, n, func(j int64, v uint64) error {
			host := int64(v & offsetMask)
			if host == 0 {
				return nil
			}
			if want := h.badCluster(host); want != "" {
				c.bad("entry %d of bitmap %d is %#x, want a cluster %s", j, i, v, want)
				return nil
			}
			c.use(useMeta, host, h.clusterSize(), 1, "bitmap %d", i)
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}
