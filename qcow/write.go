package qcow

import (
	"context"

	"github.com/luksimg/luksimg/internal/parallel"
	"github.com/luksimg/luksimg/internal/pieces"
)

// batchBytes is how much of the disk a worker takes at a time, or a cluster, if that is
// more.
const batchBytes = 1 << 20

// A batch is whole clusters of the disk that are not known to be zeros, up to batchBytes or one
// cluster, and who packs them.
type batch struct {
	pieces.Piece
	packer *packer
}

// data writes the clusters of the disk. Workers read, and compress, as they come;
// then each waits until all that is in front of its batch in the disk has its place in
// the file, and takes places for its own clusters; encryption, which has to know the
// place, and writing is at the same time again.
func (c *creation) data(ctx context.Context) error {
	size := max(batchBytes, c.clusterSize())
	jobs := parallel.Workers(c.opts.Jobs)
	packers := make(chan *packer, jobs) // one for each worker, when it first needs it
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

// place gives each part of a batch, whose first cluster this is, its place.
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
