package qcow

import (
	"context"
	"encoding/binary"
	"fmt"

	"github.com/luksimg/luksimg/internal/disk"
)

// A CheckResult is the result of [Disk.Check]. Its JSON form is stable, but new members can be
// added.
type CheckResult struct {
	Corruptions int64    `json:"corruptions"`        // errors that can damage data, or have damaged it
	Leaks       int64    `json:"leaks"`              // clusters whose reference count is too high
	Problems    []string `json:"problems,omitempty"` // the first 100, one sentence each

	ImageEnd           int64 `json:"image_end_offset"`    // offset past the last cluster in use, in bytes
	TotalClusters      int64 `json:"total_clusters"`      // of the disk
	AllocatedClusters  int64 `json:"allocated_clusters"`  // clusters of the disk that are in the file
	CompressedClusters int64 `json:"compressed_clusters"` // allocated clusters that are compressed
	FragmentedClusters int64 `json:"fragmented_clusters"` // allocated clusters that do not follow the previous one
}

// Check finds what "qemu-img check" finds. It reports references outside the file, clusters with
// two uses, and wrong reference counts. Counts include references from the disk, all snapshots and
// the metadata.
//
// Check reads all of the metadata and no data, and needs about 40 MiB of memory. It covers the
// whole image, whichever snapshot is open. It returns an error only if reading fails or ctx is
// done; problems of the image are in the result.
func (d *Disk) Check(ctx context.Context) (CheckResult, error) {
	c := &checker{d: d, h: d.h, ctx: ctx}
	if err := c.readReftable(); err != nil {
		return c.CheckResult, err
	}
	for lo := int64(0); ; {
		c.refs = newCounter(lo)
		c.quiet = lo > 0 // the first round reported problems with references
		if err := c.references(); err != nil {
			return c.CheckResult, err
		}
		if err := c.compare(); err != nil {
			return c.CheckResult, err
		}
		if lo = c.refs.hi; lo > c.h.fileSize>>c.h.clusterBits {
			break
		}
	}
	c.refs = nil
	return c.CheckResult, c.active()
}

// A checker holds the state of one call of Check.
type checker struct {
	CheckResult
	d        *Disk
	h        *header
	ctx      context.Context
	reftable []uint64
	refs     *counter
	quiet    bool
}

func (c *checker) corrupt(format string, args ...any) {
	c.Corruptions++
	disk.Note(&c.Problems, "ERROR "+format, args...)
}

// bad calls corrupt for a problem that every round finds again.
func (c *checker) bad(format string, args ...any) {
	if !c.quiet {
		c.corrupt(format, args...)
	}
}

// words calls visit for each of n 64-bit words at off of the file.
func (c *checker) words(off, n int64, visit func(i int64, v uint64) error) error {
	buf := make([]byte, min(8*n, 64<<10))
	for i := int64(0); i < n; {
		if err := c.ctx.Err(); err != nil {
			return context.Cause(c.ctx)
		}
		b := buf[:min(int64(len(buf)), 8*(n-i))]
		if _, err := readFull(c.d.file.R, b, off+8*i); err != nil {
			return err
		}
		for ; len(b) > 0; b = b[8:] {
			if err := visit(i, binary.BigEndian.Uint64(b)); err != nil {
				return err
			}
			i++
		}
	}
	return nil
}

// use counts the clusters that contain the n bytes at off.
func (c *checker) use(u use, off, n int64, times uint32, what string, args ...any) {
	if n <= 0 {
		return
	}
	for k := off >> c.h.clusterBits; k <= (off+n-1)>>c.h.clusterBits; k++ {
		if !c.refs.add(k, u, times) {
			c.corrupt("%s: the cluster at %#x has another use too", fmt.Sprintf(what, args...), k<<c.h.clusterBits)
		}
		if !c.quiet {
			c.ImageEnd = max(c.ImageEnd, (k+1)<<c.h.clusterBits)
		}
	}
}

// references counts all references of the image.
func (c *checker) references() error {
	h := c.h
	c.use(useMeta, 0, 1, 1, "header")
	c.use(useMeta, h.l1Offset, h.l1Size*8, 1, "L1 table")
	if h.snapshots > 0 {
		c.use(useMeta, h.snapshotOff, c.d.metaEnd-h.snapshotOff, 1, "snapshot table")
	}
	if h.hasCrypto {
		c.use(useMeta, h.cryptoOffset, h.cryptoLength, 1, "encryption header")
	}
	c.use(useMeta, h.reftable, h.reftableLen<<h.clusterBits, 1, "refcount table")
	for i, e := range c.reftable {
		if block := c.block(i); block != 0 {
			c.use(useMeta, block, h.clusterSize(), 1, "refcount table entry %d", i)
		} else if e != 0 {
			c.bad("refcount table entry %d is %#x: not a valid offset of a refcount block", i, e)
		}
	}
	if err := c.bitmaps(); err != nil {
		return err
	}
	return c.disks()
}

// block returns the offset of refcount block i, or 0 if there is no block or it cannot be read.
func (c *checker) block(i int) int64 {
	e := clampInt64(c.reftable[i])
	if e == 0 || c.h.badCluster(e) != "" {
		return 0
	}
	return e
}

func (c *checker) readReftable() error {
	h := c.h
	// The end of the last cluster need not be in the file.
	n := min(h.reftableLen<<h.clusterBits, h.fileSize-h.reftable) / 8
	if n <= 0 {
		return nil
	}
	c.reftable = make([]uint64, 0, n)
	used := int64(0)
	err := c.words(h.reftable, n, func(i int64, v uint64) error {
		c.reftable = append(c.reftable, v)
		if v != 0 {
			used++
		}
		return nil
	})
	if room := h.fileSize >> h.clusterBits; err == nil && used > room {
		c.corrupt("the refcount table has %d blocks, more than the %d clusters of the file", used, room)
		c.reftable = nil
	}
	return err
}

// refcount returns the reference count that the image stores for a cluster.
func (c *checker) refcount(cluster int64) (uint64, error) {
	perBlock := c.h.perBlock()
	if cluster/perBlock >= int64(len(c.reftable)) {
		return 0, nil
	}
	block := c.block(int(cluster / perBlock))
	if block == 0 {
		return 0, nil
	}
	bit := cluster % perBlock << c.h.refcountOrder
	p, err := c.d.page(block + bit/8)
	if err != nil {
		return 0, err
	}
	return refcountAt(p.B, (block+bit/8-p.Off)*8+bit%8, c.h.refcountOrder), nil
}

// refcountAt returns the reference count at a bit of b. Counts are big-endian; within a byte, the
// first is lowest.
func refcountAt(b []byte, bit int64, order uint32) uint64 {
	be := binary.BigEndian
	switch p := b[bit/8:]; order {
	case 3:
		return uint64(p[0])
	case 4:
		return uint64(be.Uint16(p))
	case 5:
		return uint64(be.Uint32(p))
	case 6:
		return be.Uint64(p)
	default:
		return uint64(p[0]>>(bit%8)) & (1<<(1<<order) - 1)
	}
}

// compare compares the counted references with the stored reference counts.
func (c *checker) compare() error {
	err := c.refs.each(func(cluster int64, n uint32) error {
		want, err := c.refcount(cluster)
		switch {
		case err != nil:
			return err
		case n == countMask:
			// The cluster has more references than its count.
		case want < uint64(n):
			c.corrupt("the cluster at %#x has reference count %d and %d references", cluster<<c.h.clusterBits, want, n)
		case want > uint64(n):
			c.Leaks++
			disk.Note(&c.Problems, "Leaked cluster at %#x: reference count %d, references %d", cluster<<c.h.clusterBits, want, n)
		}
		return nil
	})
	if err != nil {
		return err
	}
	perBlock := c.h.perBlock()
	end := min(c.refs.hi, (c.h.fileSize-1)>>c.h.clusterBits+1)
	for cluster := c.refs.lo; cluster < end; {
		i := cluster / perBlock
		if i >= int64(len(c.reftable)) {
			break
		}
		stop := min((i+1)*perBlock, end)
		if c.block(int(i)) != 0 {
			if err := c.leaks(cluster, stop); err != nil {
				return err
			}
		}
		cluster = stop
	}
	return nil
}

// leaks finds clusters of one refcount block that have no references.
func (c *checker) leaks(cluster, stop int64) error {
	if err := c.ctx.Err(); err != nil {
		return context.Cause(c.ctx)
	}
	for ; cluster < stop; cluster++ {
		n, err := c.refcount(cluster)
		if err != nil {
			return err
		}
		if n > 0 && c.refs.count(cluster) == 0 {
			c.Leaks++
			disk.Note(&c.Problems, "Leaked cluster at %#x: reference count %d, references 0", cluster<<c.h.clusterBits, n)
		}
	}
	return nil
}
