package qcow

import (
	"context"
	"fmt"
	"io"
	"iter"
	"slices"
	"sync"

	"github.com/luksimg/luksimg/image"
	"github.com/luksimg/luksimg/internal/parallel"
	"github.com/luksimg/luksimg/internal/pieces"
	"github.com/luksimg/luksimg/internal/spans"
)

// A Layout is the layout of an encrypted image as [Create] would make it. The offsets of all
// clusters are known in advance, so any part of the file can be written independently. A Layout is
// safe for concurrent use.
type Layout struct {
	plan     *plan
	clusters spans.List
	size     int64

	mu   sync.Mutex
	mark *mark // end of the last part, where the next one often starts
}

// A mark is a copy of the allocator at some offset of the file.
type mark struct {
	before int64 // nothing was allocated past this offset
	index  int64 // number of clusters of the disk that are allocated
	alloc  *allocator
}

// LayoutOptions describe the image of a [Layout].
type LayoutOptions struct {
	Size     int64      // size of the disk in bytes
	Clusters spans.List // clusters of 64 KiB in the image; all others are zeros
	LUKSSize int64      // size of the LUKS header with its key slots in bytes; at most 16 MiB
}

// maxLUKSHeader limits LayoutOptions.LUKSSize. LUKS1 with eight key slots needs 2 MiB.
const maxLUKSHeader = 16 << 20

// NewLayout returns the layout of an encrypted image. It fails if the options are invalid. It is for
// package luksimg: other programs make parts of an image with luksimg.Draw.
func NewLayout(o LayoutOptions) (*Layout, error) {
	p, err := CreateOptions{}.plan(o.Size)
	if err != nil {
		return nil, err
	}
	if o.LUKSSize <= 0 || o.LUKSSize > maxLUKSHeader {
		return nil, fmt.Errorf("qcow2: LUKS header of %d bytes, want 1 to 16777216", o.LUKSSize)
	}
	p.luksSize, p.crypt = o.LUKSSize, cryptLUKS
	l := &Layout{plan: p, clusters: o.Clusters}
	a := l.allocator(nowhere{})
	l.size, err = l.walk(context.Background(), a, 0, func(int64, int64, *allocator, int64) bool { return true })
	return l, err
}

// Size returns the length of the file in bytes.
func (l *Layout) Size() int64 { return l.size }

// LUKSOffset returns the offset of the LUKS header in the file, in bytes.
func (l *Layout) LUKSOffset() int64 { return l.allocator(nowhere{}).luksOffset }

// allocator returns a new allocator with its own copy of the plan.
func (l *Layout) allocator(w io.WriterAt) *allocator {
	p := *l.plan
	return newAllocator(w, &p)
}

// walk allocates the clusters of the disk from the one with this index on. It calls do before and
// after it allocates each, and stops when do returns false. It returns the length of the file, or 0
// if it stopped early.
func (l *Layout) walk(ctx context.Context, a *allocator, index int64, do func(cluster, index int64, a *allocator, host int64) bool) (int64, error) {
	last := (l.plan.size - 1) >> l.plan.clusterBits
	n := 0
	for i := range l.clusters.From(index) {
		if n++; n%(1<<16) == 0 {
			if err := context.Cause(ctx); err != nil {
				return 0, err
			}
		}
		if i > last {
			return 0, fmt.Errorf("qcow2: cluster %d is outside the disk of %d bytes", i, l.plan.size)
		}
		if !do(i, index, a, -1) {
			return 0, nil
		}
		host, err := a.cluster(i)
		if err != nil {
			return 0, err
		}
		index++
		if !do(i, index, a, host) {
			return 0, nil
		}
	}
	return a.finish()
}

// An Encrypter encrypts whole sectors at an offset from src to dst, which can be the same slice.
type Encrypter interface {
	EncryptSectors(dst, src []byte, off int64)
}

// A run is a sequence of clusters that are contiguous on the disk and in the file.
type run struct{ disk, host, n int64 }

// WriteRange writes the bytes [from, to) of the file to dst, except for zeros and the LUKS header.
// It also writes incomplete data outside that range, which dst must discard. It calls done with
// the number of bytes read of the disk src.
func (l *Layout) WriteRange(ctx context.Context, dst io.WriterAt, src image.Source, e Encrypter, from, to int64, jobs int, done func(int64)) error {
	data, err := l.tables(ctx, dst, from, to)
	if err != nil {
		return err
	}
	const size = batchBytes
	return parallel.Run(ctx, jobs, size, batchesOf(data, size), func(buf []byte, r run) error {
		b := buf[:r.n]
		n := max(0, min(r.n, src.Size()-r.disk))
		if err := pieces.ReadFull(src, b[:n], r.disk); err != nil {
			return err
		}
		clear(b[n:])
		e.EncryptSectors(b, b, r.host)
		_, err := dst.WriteAt(b, r.host)
		done(n)
		return err
	})
}

// batchesOf yields parts of runs of at most size bytes.
func batchesOf(runs []run, size int64) iter.Seq2[run, error] {
	return func(yield func(run, error) bool) {
		for _, r := range runs {
			for r.n > 0 {
				n := min(r.n, size)
				if !yield(run{r.disk, r.host, n}, nil) {
					return
				}
				r = run{r.disk + n, r.host + n, r.n - n}
			}
		}
	}
}

// tables writes the metadata of the range and returns the runs of data in it.
func (l *Layout) tables(ctx context.Context, dst io.WriterAt, from, to int64) (data []run, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	cluster := l.plan.clusterSize()
	a, index := l.allocator(dst), int64(0)
	// The header and the L1 table are complete only at the end of the file.
	whole := from < a.next
	if m := l.mark; m != nil && m.before <= from && !whole {
		a, index = m.alloc.clone(dst), m.index
	}
	var next *mark
	end, err := l.walk(ctx, a, index, func(i, index int64, a *allocator, host int64) bool {
		if host < 0 {
			// A table, a refcount block and data can follow.
			if next == nil && a.next+4*cluster > to {
				next = &mark{a.next, index, a.clone(nowhere{})}
			}
			// All metadata before the end is written, except for the current table.
			return whole || a.next < to || a.l2.index == i>>(l.plan.clusterBits-3) && a.l2.offset < to
		}
		if host+cluster > from && host < to {
			at := i << l.plan.clusterBits
			if n := len(data); n > 0 && data[n-1].disk+data[n-1].n == at && data[n-1].host+data[n-1].n == host {
				data[n-1].n += cluster
			} else {
				data = append(data, run{at, host, cluster})
			}
		}
		return true
	})
	if err != nil {
		return nil, err
	}
	if next != nil {
		l.mark = next
	}
	if end == 0 { // walk stopped early: write the current table
		return data, a.writeTable()
	}
	if from < headerBytes {
		_, err = dst.WriteAt(a.encodeHeader(), 0)
	}
	return data, err
}

// clone returns an independent copy of the allocator that writes to w.
func (a *allocator) clone(w io.WriterAt) *allocator {
	c := *a
	p := *a.plan
	c.plan, c.w = &p, w
	c.l1.b, c.l2.b, c.block = slices.Clone(a.l1.b), slices.Clone(a.l2.b), make([]byte, len(a.block))
	c.counts, c.blocks = slices.Clone(a.counts), slices.Clip(a.blocks)
	return &c
}
