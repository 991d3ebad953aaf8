package qcow

import (
	"encoding/binary"
	"fmt"
	"math/bits"

	"github.com/luksimg/luksimg/internal/disk"
)

const subclusters = 32

// locate returns the run at pos of the disk, which ends at end or before. It takes one step per L1
// entry without an L2 table, and reads at most one page of an L2 table.
func (d *Disk) locate(pos, end int64) (disk.Run, error) {
	span := d.h.tableSpanBits()
	i := pos >> span
	table, err := d.l2Table(i)
	if err != nil {
		return disk.Run{}, err
	}
	last := (end - 1) >> span
	if table == 0 {
		j := i
		for j < last && d.l1[j+1]&offsetMask == 0 {
			j++
		}
		if j < last {
			end = (j + 1) << span
		}
		return disk.Run{Kind: disk.Absent, N: end - pos}, nil
	}
	if i < last {
		end = (i + 1) << span
	}
	entryBits := d.h.entryBits()
	at := table + (pos>>d.h.clusterBits&(1<<(d.h.clusterBits-entryBits)-1))<<entryBits
	page, err := d.page(at)
	if err != nil {
		return disk.Run{}, err
	}
	if page.Zero { // no clusters in the rest of the page
		next := pos>>d.h.clusterBits + (page.Off+int64(len(page.B))-at)>>entryBits
		return disk.Run{Kind: disk.Absent, N: min(next<<d.h.clusterBits, end) - pos}, nil
	}
	r, err := d.decode(page, at, pos, end)
	if err != nil {
		return disk.Run{}, err
	}
	for pos+r.N < end && r.Kind != disk.Packed {
		at = table + ((pos+r.N)>>d.h.clusterBits&(1<<(d.h.clusterBits-entryBits)-1))<<entryBits
		if at-page.Off >= int64(len(page.B)) {
			break
		}
		more, err := d.decode(page, at, pos+r.N, end)
		if err != nil || !r.Joins(more) {
			break
		}
		r.N += more.N
	}
	return r, nil
}

// decode returns the run at pos that the L2 entry at offset at of the file describes.
func (d *Disk) decode(p *disk.Page, at, pos, end int64) (disk.Run, error) {
	e := binary.BigEndian.Uint64(p.B[at-p.Off:])
	within := pos & (d.h.clusterSize() - 1)
	r := disk.Run{N: min(d.h.clusterSize()-within, end-pos)}
	if e == 0 && !d.h.extendedL2() {
		return r, nil
	}
	if e&flagCompressed != 0 {
		if d.h.dataFile() {
			return r, entryError(at, e, "an uncompressed cluster, as the image has an external data file")
		}
		r.Kind, r.File, r.Key, r.At = disk.Packed, &d.file, e, at
		r.Within, r.UnitSize = within, d.h.clusterSize()
		return r, nil
	}
	host := int64(e & offsetMask)
	// A cluster can be at offset 0 only in an external data file.
	allocated := host != 0 || d.h.dataFile() && e&flagCopied != 0
	if d.h.extendedL2() {
		if e&flagZero != 0 {
			return r, entryError(at, e, "bit 0 clear, as the image has extended L2 entries")
		}
		bitmap := binary.BigEndian.Uint64(p.B[at+8-p.Off:])
		if err := d.subcluster(&r, at, bitmap, allocated, within); err != nil {
			return r, err
		}
	} else {
		switch {
		case e&flagZero == 0 && allocated:
			r.Kind = disk.Data
		case e&flagZero == 0:
		case d.h.version < 3:
			return r, entryError(at, e, "bit 0 clear, as the image is of version 2")
		case allocated:
			r.Kind = disk.Zero
		default:
			r.Kind = disk.Hole
		}
	}
	if !allocated {
		return r, nil
	}
	if host&(d.h.clusterSize()-1) != 0 {
		return r, entryError(at, e, "a cluster at a multiple of the cluster size %d", d.h.clusterSize())
	}
	if r.Kind != disk.Data {
		return r, nil
	}
	if d.h.dataFile() && host != pos-within {
		return r, entryError(at, e, "offset %#x, as an external data file has the same offsets as the disk", pos-within)
	}
	// All guest-visible bytes must be in the file. The end of the disk's last cluster can be
	// missing.
	r.File, r.Host = &d.data, host+within
	if r.Host > d.dataEnd-r.N {
		return r, entryError(at, e, "data inside the file of %d bytes, but it is at %d to %d", d.dataEnd, r.Host, r.Host+r.N)
	}
	return r, nil
}

// subcluster cuts a run to subclusters of one kind. allocated reports whether the run's cluster
// is allocated.
func (d *Disk) subcluster(r *disk.Run, at int64, bitmap uint64, allocated bool, within int64) error {
	data, zero := uint32(bitmap), uint32(bitmap>>32)
	if data&zero != 0 {
		return fieldError(at+8, "subcluster allocation bitmap", hex(bitmap), "no subcluster that is both allocated and zero")
	}
	if data != 0 && !allocated {
		return fieldError(at+8, "subcluster allocation bitmap", hex(bitmap), "no allocated subclusters, as the cluster is not allocated")
	}
	subBits := d.h.clusterBits - 5
	first := uint(within >> subBits)
	var same int
	switch {
	case data>>first&1 != 0:
		r.Kind = disk.Data
		same = bits.TrailingZeros32(^(data >> first))
	case zero>>first&1 != 0:
		if r.Kind = disk.Hole; allocated {
			r.Kind = disk.Zero
		}
		same = bits.TrailingZeros32(^(zero >> first))
	default:
		same = bits.TrailingZeros32((data | zero) >> first)
	}
	stop := int64(min(first+uint(same), subclusters)) << subBits
	r.N = min(r.N, stop-within)
	return nil
}

func entryError(at int64, e uint64, want string, args ...any) error {
	return fieldError(at, "L2 entry", hex(e), "%s", fmt.Sprintf(want, args...))
}
