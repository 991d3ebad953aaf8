package qcow

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"iter"
	"sync"

	"github.com/luksimg/luksimg/image"
	"github.com/luksimg/luksimg/internal/parallel"
)

// batchBytes is how much of the disk a worker takes at a time, or a cluster, if that is
// more.
const batchBytes = 1 << 20

// A batch is whole clusters of the disk, some of which are not known to be zeros.
type batch struct {
	seq    int64 // numbers them in the order of the disk
	offset int64
	length int64
	done   int64 // bytes of the source that are done with this batch
}

// batches cuts the data of the source into batches. Each starts and ends with a cluster
// that has data.
func (c *creation) batches(ctx context.Context) iter.Seq2[batch, error] {
	return func(yield func(batch, error) bool) {
		cluster, unit := c.clusterSize(), max(batchBytes, c.clusterSize())
		size := c.src.Size()
		var b batch
		var before int64 // where the batch before ended, in the source
		flush := func() bool {
			if b.length == 0 {
				return true
			}
			end := min(b.offset+b.length, size)
			b.done = end - before
			ok := yield(b, nil)
			before = end
			b = batch{seq: b.seq + 1}
			return ok
		}
		var at int64
		for e, err := range image.ExtentsContext(ctx, c.src, 0, size) {
			if err == nil && (e.Offset != at || e.Length <= 0 || e.Length > size-at) {
				err = fmt.Errorf("qcow2: the source has an extent of %d bytes at %d, where one from %d on was due", e.Length, e.Offset, at)
			}
			if err != nil {
				yield(batch{}, err)
				return
			}
			at = e.End()
			for off := e.Offset; e.Kind == image.Data && off < at; {
				end := min((off/unit+1)*unit, at)
				first := off &^ (cluster - 1)
				if b.length > 0 && first/unit != b.offset/unit && !flush() {
					return
				}
				if b.length == 0 {
					b.offset = first
				}
				b.length = (end+cluster-1)&^(cluster-1) - b.offset
				off = end
			}
		}
		if at < size {
			yield(batch{}, fmt.Errorf("qcow2: the source tells of its data up to byte %d of %d: %w", at, size, io.ErrUnexpectedEOF))
			return
		}
		flush()
		c.opts.done(size - before)
	}
}

// data writes the clusters of the disk. Workers read, and compress, as they come;
// then each waits until all that is in front of its batch in the disk has its place in
// the file, and takes places for its own clusters; encryption, which has to know the
// place, and writing is at the same time again.
func (c *creation) data(ctx context.Context) error {
	size := int(max(batchBytes, c.clusterSize()))
	gate := newGate()
	jobs := c.opts.jobs()
	packers := make(chan *packer, jobs) // one for each worker, when it first needs it
	for range jobs {
		packers <- nil
	}
	return parallel.Run(ctx, jobs, size, c.batches(ctx), func(buf []byte, b batch) error {
		k := <-packers
		defer func() { packers <- k }()
		if k == nil {
			k = newPacker(c.plan, size)
		}
		err := c.batch(buf[:b.length], b, gate, k)
		if err != nil {
			gate.stop(err)
		}
		return err
	})
}

func (c *creation) batch(p []byte, b batch, gate *gate, k *packer) error {
	n := int(min(b.length, c.src.Size()-b.offset))
	if got, err := c.src.ReadAt(p[:n], b.offset); got < n {
		if err == nil || err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		return fmt.Errorf("reading at offset %d: %w", b.offset+int64(got), err)
	}
	clear(p[n:])
	if err := k.pack(p); err != nil {
		return err
	}
	if err := gate.pass(b.seq, func() error { return c.place(k.parts, b) }); err != nil {
		return err
	}
	if err := c.write(k.data, k.parts); err != nil {
		return err
	}
	c.opts.done(b.done)
	return nil
}

// place gives each part of a batch its place.
func (c *creation) place(parts []part, b batch) (err error) {
	first := b.offset >> c.clusterBits
	for i := range parts {
		p := &parts[i]
		if p.compressed {
			c.result.CompressedClusters++
			p.host, err = c.alloc.compressedCluster(first+p.cluster, int64(p.n))
		} else {
			p.host, err = c.alloc.cluster(first + p.cluster)
		}
		if err != nil {
			return err
		}
	}
	c.result.AllocatedClusters += int64(len(parts))
	return nil
}

// write encrypts parts of data, and writes those at once that follow each other.
func (c *creation) write(data []byte, parts []part) error {
	for len(parts) > 0 {
		first, n := parts[0], 0
		for len(parts) > 0 && parts[0].at == first.at+n && parts[0].host == first.host+int64(n) {
			n += parts[0].n
			parts = parts[1:]
		}
		b := data[first.at:][:n]
		if c.volume != nil {
			c.volume.EncryptSectors(b, b, first.host)
		}
		if _, err := c.dst.WriteAt(b, first.host); err != nil {
			return err
		}
	}
	return nil
}

// allZero reports whether b, which is not empty, is zeros.
func allZero(b []byte) bool { return b[0] == 0 && bytes.Equal(b[1:], b[:len(b)-1]) }

// A gate lets batches pass one by one in their order.
type gate struct {
	mu   sync.Mutex
	cond *sync.Cond
	next int64
	err  error
}

func newGate() *gate {
	g := &gate{}
	g.cond = sync.NewCond(&g.mu)
	return g
}

// pass calls f when all batches before seq have passed. All of them are in the hands of
// a worker already, that passes or calls stop.
func (g *gate) pass(seq int64, f func() error) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	for g.next != seq && g.err == nil {
		g.cond.Wait()
	}
	if g.err != nil {
		return g.err
	}
	err := f()
	g.next++
	g.err = err
	g.cond.Broadcast()
	return err
}

// stop makes pass return err to all.
func (g *gate) stop(err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.err == nil {
		g.err = err
	}
	g.cond.Broadcast()
}
