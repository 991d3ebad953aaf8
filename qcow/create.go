package qcow

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"iter"

	"github.com/luksimg/luksimg/image"
	"github.com/luksimg/luksimg/internal/parallel"
	"github.com/luksimg/luksimg/internal/target"
	"github.com/luksimg/luksimg/luks"
)

// CreateOptions configure [Create]. The zero value creates what qemu-img creates by default:
// version 3, clusters of 64 KiB, neither compressed nor encrypted.
type CreateOptions struct {
	// ClusterSize is the unit of allocation in bytes, a power of two from 512 to 2 MiB. Zero means
	// 64 KiB. It limits the size of the disk and of the file: to 128 GiB with clusters of 512
	// bytes, to 2 PiB with clusters of 64 KiB.
	ClusterSize int64

	// Compression is "zlib", "zstd" or "" for none. Every QEMU reads zlib; QEMU 5.1 and later read
	// zstd. Clusters that do not shrink are stored uncompressed. An image cannot be both compressed
	// and encrypted.
	Compression string

	// Passphrase, if not nil, encrypts the image with LUKS1, as QEMU's option encrypt.format=luks
	// does. It can hold any bytes, but QEMU accepts only UTF-8. Clusters of zeros are still not
	// allocated, so the image reveals where they are.
	Passphrase []byte

	// LUKS holds the encryption options: cipher, key size, hash, cost, UUID. Version must be 0 or
	// 1. DataOffset and Detached must not be set.
	LUKS luks.Options

	// Jobs is the number of workers; zero means one per CPU. It does not affect the image.
	Jobs int

	// Progress, if not nil, is called with the number of bytes of the source done since the last
	// call. Calls can be concurrent. It must not block.
	Progress func(n int64)
}

// A CreateResult describes the image that [Create] made.
type CreateResult struct {
	VirtualSize        int64 // bytes: size of the source, rounded up to a multiple of 512
	FileSize           int64 // bytes
	ClusterSize        int64 // bytes
	AllocatedClusters  int64 // clusters of the disk that are in the file
	CompressedClusters int64 // allocated clusters that are compressed

	// LUKS describes the encryption header. It is nil without encryption.
	LUKS *luks.Info
}

// Create writes the disk src as a qcow2 image of version 3 to dst. dst must be empty: Create does
// not write the gaps in the format. It does not read parts of src that are known to be zero, and
// does not allocate clusters of zeros. The image depends only on src and o, except for the random
// bytes of the encryption.
//
// Create writes the header last, after a Sync if dst has that method. If it fails, or ctx is done,
// dst is not a qcow2 image and is useless. If the disk is too large for the format, it returns
// [image.ErrTooLarge] before it writes anything. It uses a few MiB of memory per worker, more with
// clusters larger than 1 MiB, whatever the size of the disk.
func Create(ctx context.Context, dst io.WriterAt, src image.Source, o CreateOptions) (*CreateResult, error) {
	p, err := o.plan(src.Size())
	if err != nil {
		return nil, err
	}
	f := &target.File{Format: "qcow2", W: dst}
	c := &creation{plan: p, opts: o, dst: f, src: src, alloc: newAllocator(f, p), done: parallel.Progress(o.Progress)}
	if o.Passphrase != nil {
		defer c.wipe()
		if err := c.encryption(ctx); err != nil {
			return nil, err
		}
	}
	if err := c.data(ctx); err != nil {
		return nil, err
	}
	if c.result.FileSize, err = c.alloc.finish(); err != nil {
		return nil, err
	}
	if err := f.Sync(); err != nil {
		return nil, err
	}
	if _, err := f.WriteAt(c.alloc.encodeHeader(), 0); err != nil {
		return nil, err
	}
	c.result.VirtualSize, c.result.ClusterSize = p.size, p.clusterSize()
	return &c.result, nil
}

// CreateSize returns the length in bytes of the file that [Create] would make of a disk of size
// bytes. clusters are the numbers of the clusters that are not all zeros, in ascending order. None
// of them is compressed.
func CreateSize(size int64, clusters iter.Seq[int64], o CreateOptions) (int64, error) {
	p, err := o.plan(size)
	if err != nil {
		return 0, err
	}
	a := newAllocator(nowhere{}, p)
	last := int64(-1)
	for i := range clusters {
		if i <= last || i > (p.size-1)>>p.clusterBits {
			return 0, fmt.Errorf("qcow2: cluster %d follows cluster %d, want ascending numbers inside the disk of %d bytes", i, last, p.size)
		}
		last = i
		if _, err := a.cluster(i); err != nil {
			return 0, err
		}
	}
	return a.finish()
}

// nowhere discards all writes.
type nowhere struct{}

func (nowhere) WriteAt(p []byte, _ int64) (int, error) { return len(p), nil }

// A plan holds the properties of an image that are known before the disk is read.
type plan struct {
	header           // size, clusters and features
	luksSize   int64 // size of the encryption header in bytes, or 0
	compressed bool
	luks       luks.Options
}

// plan checks the options for a disk of size bytes.
func (o CreateOptions) plan(size int64) (*plan, error) {
	p := &plan{header: header{version: 3, headerLength: headerSizeV3 + 8, refcountOrder: 4}}
	cluster := cmp.Or(o.ClusterSize, 64<<10)
	if cluster < 1<<minClusterBits || cluster > 1<<maxClusterBits || cluster&(cluster-1) != 0 {
		return nil, fmt.Errorf("qcow2: cluster size %d, want a power of two from %d to %d", cluster, 1<<minClusterBits, 1<<maxClusterBits)
	}
	p.clusterBits = log2(cluster)
	if most := int64(maxL1Bytes/8) << p.tableSpanBits(); size > most {
		return nil, fmt.Errorf("qcow2: disk size %d, want at most %d with clusters of %d bytes: %w", size, most, cluster, image.ErrTooLarge)
	}
	if size < 0 {
		return nil, fmt.Errorf("qcow2: disk size %d, want at least 0", size)
	}
	p.size = (size + cryptSector - 1) &^ (cryptSector - 1)
	p.l1Size = p.l1Needed(p.size)
	switch o.Compression {
	case "":
	case "zstd":
		p.compression = compressionZstd
		p.incompatible |= incompatCompression
		p.compressed = true
	case "zlib":
		p.compressed = true
	default:
		return nil, fmt.Errorf("qcow2: compression %q, want \"zlib\", \"zstd\" or \"\"", o.Compression)
	}
	if o.Passphrase == nil {
		return p, nil
	}
	if p.compressed {
		return nil, fmt.Errorf("qcow2: an image cannot be both compressed and encrypted")
	}
	return p, p.planLUKS(o.LUKS)
}

// planLUKS lays out the encryption header as QEMU does. qcow2 ignores its payload offset: L2
// entries give the place of data.
func (p *plan) planLUKS(lo luks.Options) error {
	lo.Version = cmp.Or(lo.Version, 1)
	switch {
	case lo.Version != 1:
		return fmt.Errorf("qcow2: LUKS version %d, want 1", lo.Version)
	case lo.DataOffset != 0 || lo.Detached:
		return fmt.Errorf("qcow2: LUKS options DataOffset and Detached have no meaning inside qcow2")
	}
	l, err := lo.Layout()
	if err != nil {
		return fmt.Errorf("qcow2: %w", err)
	}
	lo.DataOffset = l.HeaderSize // right after the key slots, as in QEMU
	p.luks, p.luksSize, p.crypt = lo, l.HeaderSize, cryptLUKS
	return nil
}

// A creation holds the state of one call of Create.
type creation struct {
	*plan
	opts   CreateOptions
	dst    *target.File
	src    image.Source
	done   func(n int64)
	alloc  *allocator
	volume *luks.Volume // nil without encryption
	result CreateResult
}

// encryption creates and writes the encryption header.
func (c *creation) encryption(ctx context.Context) error {
	h, key, err := luks.New(ctx, c.opts.Passphrase, c.plan.luks)
	if err != nil {
		return err
	}
	defer clear(key)
	if c.volume, err = h.Volume(ctx, nil, 0, key); err != nil {
		return err
	}
	info := h.Info()
	c.result.LUKS = &info
	return h.WriteHeader(io.NewOffsetWriter(c.dst, c.alloc.luksOffset))
}

// wipe wipes the key.
func (c *creation) wipe() {
	if c.volume != nil {
		c.volume.Close()
	}
}
