package qcow

import (
	"context"

	"github.com/luksimg/luksimg/internal/parallel"
	"github.com/luksimg/luksimg/internal/pieces"
)

// batchBytes is the number of bytes that a worker processes at a time, unless a cluster is larger.
const batchBytes = 1 << 20

// A batch is a sequence of whole clusters that are not known to be zeros, and the packer that packs
// them. It has up to batchBytes, or one cluster.
type batch struct {
	pieces.Piece
	packer *packer
}

// data writes the clusters of the disk. Workers read and compress batches concurrently. Each then
// waits until all earlier batches are allocated, and allocates its own clusters. Encryption, which
// needs the offsets, and writing are concurrent again.
func (c *creation) data(ctx context.Context) error {
	size := max(batchBytes, c.clusterSize())
	jobs := parallel.Workers(c.opts.Jobs)
	packers := make(chan *packer, jobs) // one per worker, created on first use
	for range jobs {
		packers <- nil
	}
	pack := func(buf []byte, b *batch) error {
		if b.packer = <-packers; b.packer == nil {
			b.packer = newPacker(c.plan, int(size))
		}
		p, err := b.Read(c.src, buf)
		if err != nil {
			return err
		}
		return b.packer.pack(p)
	}
	place := func(_ []byte, b *batch) error { return c.place(b.packer.parts, b.Offset>>c.clusterBits) }
	write := func(_ []byte, b *batch) error {
		if err := c.write(b.packer.data, b.packer.parts); err != nil {
			return err
		}
		packers <- b.packer
		c.done(b.Disk)
		return nil
	}
	type step = parallel.Step[*batch]
	cut, end := pieces.Cut{Unit: c.clusterSize(), Most: size}, (c.src.Size()+c.clusterSize()-1)&^(c.clusterSize()-1)
	batches := pieces.Data(ctx, cut, c.src, end, c.done, func(p pieces.Piece) *batch { return &batch{Piece: p} })
	return parallel.InOrder(ctx, jobs, int(size), batches, step{Do: pack}, step{Do: place, InOrder: true}, step{Do: write})
}

// place allocates the parts of a batch. first is the number of its first cluster.
func (c *creation) place(parts []part, first int64) (err error) {
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

// write encrypts the parts of data and writes adjacent ones together.
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
