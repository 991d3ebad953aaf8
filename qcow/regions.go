package qcow

import "github.com/luksimg/luksimg/image"

// Regions returns the metadata regions that the header describes: the header itself, the refcount
// table, the L1 table of the disk, the snapshot table and the LUKS header. L2 tables and refcount
// blocks are not included.
func (d *Disk) Regions() []image.Region {
	h := d.h
	all := []image.Region{
		{Name: "the header", Offset: 0, Length: h.clusterSize()},
		{Name: "the refcount table", Offset: h.reftable, Length: h.reftableLen << h.clusterBits},
		{Name: "the L1 table", Offset: h.l1Offset, Length: h.l1Size * 8},
	}
	if h.snapshots > 0 {
		all = append(all, image.Region{Name: "the snapshot table", Offset: h.snapshotOff, Length: d.metaEnd - h.snapshotOff})
	}
	if h.hasCrypto {
		all = append(all, image.Region{Name: "the LUKS header", Offset: h.cryptoOffset, Length: h.cryptoLength})
	}
	return all
}
