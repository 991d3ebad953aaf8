package qcow

import (
	"encoding/binary"
	"fmt"
	"math/bits"
)

// A kind is how bytes of the disk are stored.
type kind uint8

const (
	kindUnallocated kind = iota // not here: in the backing file, or zeros
	kindHole                    // zeros, without room in the file
	kindZero                    // zeros, with room in the file that is not used
	kindData
	kindCompressed
)

const subclusters = 32

// A run is bytes of the disk that are stored alike and, for data, one after the
// other.
type run struct {
	kind  kind
	n     int64  // bytes
	host  int64  // for data: the offset in the data file
	entry uint64 // for a compressed cluster: its L2 entry
	at    int64  // and where in the file that is
}

// joins reports whether next, which follows r in the disk, belongs to it.
func (r *run) joins(next run) bool {
	return r.kind == next.kind && r.kind != kindCompressed && (r.kind != kindData || r.host+r.n == next.host)
}

// next returns the run at pos of the disk, up to end. A run that ends before end
// may go on: what comes next is not looked at any more than needed.
func (d *Disk) next(pos, end int64) (run, error) {
	r, err := d.locate(pos, end)
	for err == nil && pos+r.n < end && r.kind != kindCompressed {
		// An error is found again when the bytes that it is about are asked for.
		more, err := d.locate(pos+r.n, end)
		if err != nil || !r.joins(more) {
			break
		}
		r.n += more.n
	}
	return r, err
}

// locate is next with one step for each L1 entry without an L2 table, and at most
// one slice of an L2 table.
func (d *Disk) locate(pos, end int64) (run, error) {
	span := d.h.tableSpanBits()
	i := pos >> span
	table, err := d.l2Table(i)
	if err != nil {
		return run{}, err
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
		return run{kind: kindUnallocated, n: end - pos}, nil
	}
	if i < last {
		end = (i + 1) << span
	}
	entryBits := d.h.entryBits()
	at := table + (pos>>d.h.clusterBits&(1<<(d.h.clusterBits-entryBits)-1))<<entryBits
	slice, err := d.slice(at)
	if err != nil {
		return run{}, err
	}
	r, err := d.decode(slice, at, pos, end)
	if err != nil {
		return run{}, err
	}
	for pos+r.n < end && r.kind != kindCompressed {
		at = table + ((pos+r.n)>>d.h.clusterBits&(1<<(d.h.clusterBits-entryBits)-1))<<entryBits
		if at-slice.off >= int64(len(slice.b)) {
			break
		}
		more, err := d.decode(slice, at, pos+r.n, end)
		if err != nil || !r.joins(more) {
			break
		}
		r.n += more.n
	}
	return r, nil
}

// decode returns the run at pos that the one L2 entry at at of the file gives.
func (d *Disk) decode(s *l2Slice, at, pos, end int64) (run, error) {
	e := binary.BigEndian.Uint64(s.b[at-s.off:])
	within := pos & (d.h.clusterSize() - 1)
	r := run{n: min(d.h.clusterSize()-within, end-pos)}
	if e == 0 && !d.h.extendedL2() {
		return r, nil
	}
	if e&flagCompressed != 0 {
		if d.h.dataFile() {
			return r, entryError(at, e, "no compressed cluster, as the image has an external data file")
		}
		r.kind, r.entry, r.at = kindCompressed, e, at
		return r, nil
	}
	host := int64(e & offsetMask)
	// Only in an external data file can a cluster be at offset 0.
	allocated := host != 0 || d.h.dataFile() && e&flagCopied != 0
	if d.h.extendedL2() {
		if e&flagZero != 0 {
			return r, entryError(at, e, "bit 0 clear, as the image has extended L2 entries")
		}
		bitmap := binary.BigEndian.Uint64(s.b[at+8-s.off:])
		if err := d.subcluster(&r, at, bitmap, allocated, within); err != nil {
			return r, err
		}
	} else {
		switch {
		case e&flagZero == 0 && allocated:
			r.kind = kindData
		case e&flagZero == 0:
		case d.h.version < 3:
			return r, entryError(at, e, "bit 0 clear, as the image is of version 2")
		case allocated:
			r.kind = kindZero
		default:
			r.kind = kindHole
		}
	}
	if !allocated {
		return r, nil
	}
	if host&(d.h.clusterSize()-1) != 0 {
		return r, entryError(at, e, "a cluster at a multiple of the cluster size %d", d.h.clusterSize())
	}
	if r.kind != kindData {
		return r, nil
	}
	if d.h.dataFile() && host != pos-within {
		return r, entryError(at, e, "offset %#x, as clusters of an external data file are where they are in the disk", pos-within)
	}
	// What the guest can see has to be in the file. The rest of the last cluster of
	// a disk may be missing.
	r.host = host + within
	if r.host > d.dataEnd-r.n {
		return r, entryError(at, e, "data inside the file, which has %d bytes; this would be at %d to %d", d.dataEnd, r.host, r.host+r.n)
	}
	return r, nil
}

// subcluster cuts a run that starts within an allocated cluster, or none, to
// subclusters of one kind.
func (d *Disk) subcluster(r *run, at int64, bitmap uint64, allocated bool, within int64) error {
	data, zero := uint32(bitmap), uint32(bitmap>>32)
	if data&zero != 0 {
		return fieldError(at+8, "subcluster allocation bitmap", hex(bitmap), "no subcluster that is both allocated and zero")
	}
	if data != 0 && !allocated {
		return fieldError(at+8, "subcluster allocation bitmap", hex(bitmap), "no allocated subclusters, as the cluster is not allocated")
	}
	subBits := d.h.clusterBits - 5
	first := uint(within >> subBits)
	same := 0
	switch {
	case data>>first&1 != 0:
		r.kind = kindData
		same = bits.TrailingZeros32(^(data >> first))
	case zero>>first&1 != 0:
		if r.kind = kindHole; allocated {
			r.kind = kindZero
		}
		same = bits.TrailingZeros32(^(zero >> first))
	default:
		same = bits.TrailingZeros32((data | zero) >> first)
	}
	stop := int64(min(first+uint(same), subclusters)) << subBits
	r.n = min(r.n, stop-within)
	return nil
}

func entryError(at int64, e uint64, want string, args ...any) error {
	return fieldError(at, "L2 entry", hex(e), "%s", fmt.Sprintf(want, args...))
}
