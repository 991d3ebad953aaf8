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

// CreateOptions say what image [Create] makes. The zero value is what qemu-img makes by
// default: version 3, clusters of 64 KiB, neither compressed nor encrypted.
type CreateOptions struct {
	// ClusterSize is the unit of allocation in bytes, a power of two from 512 to 2 MiB.
	// Zero is 64 KiB. It limits the disk, and the file: clusters of 512 bytes to 128 GiB,
	// those of 64 KiB to 2 PiB.
	ClusterSize int64

	// Compression is "zlib", which every QEMU reads, "zstd", which those from 5.1 on
	// read, or "" for none. Clusters that do not become smaller are stored as they are.
	// An image that is encrypted cannot be compressed.
	Compression string

	// Passphrase, if not nil, encrypts the image with LUKS1 inside, as QEMU's option
	// encrypt.format=luks does. Each byte counts; QEMU takes only UTF-8. Clusters of
	// zeros are not allocated all the same, so that the image tells where they are.
	Passphrase []byte

	// LUKS are the options of the encryption: cipher, key size, hash, cost, UUID.
	// Version may be 0 or 1; where the data are is not for it to say.
	LUKS luks.Options

	// Jobs is the number of workers; zero is one for each CPU. The image does not depend
	// on it.
	Jobs int

	// Progress, if not nil, is called with the number of bytes of the source done since
	// the last call, from several goroutines at a time. It must not block.
	Progress func(n int64)
}

// A CreateResult says what [Create] made.
type CreateResult struct {
	VirtualSize        int64 // bytes: that of the source, up to the next multiple of 512
	FileSize           int64 // bytes
	ClusterSize        int64 // bytes
	AllocatedClusters  int64 // of the disk, in the file
	CompressedClusters int64 // of these, compressed

	// LUKS is what the header of the encryption says, nil without one.
	LUKS *luks.Info
}

// Create writes the disk src as a qcow2 image of version 3 to dst, which must be new:
// nothing is written where the format leaves gaps. Parts of src that are known to be
// zero are not read, and clusters of zeros take no room. What it makes depends on src
// and o alone, but for the random bytes of the encryption.
//
// The header is written last, after a Sync if dst has that method. If Create fails, or
// ctx is done, dst is no qcow2 image, and of no use. A size that the format has no room for
// is [image.ErrTooLarge], before anything is written. It takes a few MiB of memory for
// each worker, more if clusters are larger than 1 MiB, whatever the size of the disk.
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

// CreateSize returns how long, in bytes, the file would be that [Create] makes of a disk
// of size bytes if exactly these clusters of it are not all zeros, and none of them is
// compressed. They are numbered from the start of the disk and come in ascending order.
func CreateSize(size int64, clusters iter.Seq[int64], o CreateOptions) (int64, error) {
	p, err := o.plan(size)
	if err != nil {
		return 0, err
	}
	a := newAllocator(nowhere{}, p)
	last := int64(-1)
	for i := range clusters {
		if i <= last || i > (p.size-1)>>p.clusterBits {
			return 0, fmt.Errorf("qcow2: cluster %d after %d, of a disk of %d bytes", i, last, p.size)
		}
		last = i
		if _, err := a.cluster(i); err != nil {
			return 0, err
		}
	}
	return a.finish()
}

// nowhere takes all that is written.
type nowhere struct{}

func (nowhere) WriteAt(p []byte, _ int64) (int, error) { return len(p), nil }

// A plan is what is known of an image before anything of the disk was read.
type plan struct {
	header           // its fields for the size, the clusters, the features
	luksSize   int64 // of the encryption header, bytes; 0 without one
	compressed bool
	luks       luks.Options
}

// plan checks the options, for a disk of size bytes.
func (o CreateOptions) plan(size int64) (*plan, error) {
	p := &plan{header: header{version: 3, headerLength: headerSizeV3 + 8, refcountOrder: 4}}
	cluster := cmp.Or(o.ClusterSize, 64<<10)
	if cluster < 1<<minClusterBits || cluster > 1<<maxClusterBits || cluster&(cluster-1) != 0 {
		return nil, fmt.Errorf("qcow2: clusters of %d bytes: want a power of two from %d to %d", cluster, 1<<minClusterBits, 1<<maxClusterBits)
	}
	p.clusterBits = log2(cluster)
	if most := int64(maxL1Bytes/8) << p.tableSpanBits(); size > most {
		return nil, fmt.Errorf("qcow2: a disk of %d bytes: clusters of %d bytes are enough for %d bytes: %w", size, cluster, most, image.ErrTooLarge)
	}
	if size < 0 {
		return nil, fmt.Errorf("qcow2: a disk of %d bytes", size)
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
		return nil, fmt.Errorf("qcow2: compression %q: want \"zlib\", \"zstd\" or nothing", o.Compression)
	}
	if o.Passphrase == nil {
		return p, nil
	}
	if p.compressed {
		return nil, fmt.Errorf("qcow2: an image cannot be both compressed and encrypted")
	}
	return p, p.planLUKS(o.LUKS)
}

// planLUKS lays the encryption header out as QEMU does. In qcow2 its payload offset
// means nothing: data clusters lie where their L2 entries say.
func (p *plan) planLUKS(lo luks.Options) error {
	lo.Version = cmp.Or(lo.Version, 1)
	switch {
	case lo.Version != 1:
		return fmt.Errorf("qcow2: LUKS version %d: qcow2 has version 1", lo.Version)
	case lo.DataOffset != 0 || lo.Detached:
		return fmt.Errorf("qcow2: a header of LUKS inside of qcow2 does not say where the data are")
	}
	l, err := lo.Layout()
	if err != nil {
		return fmt.Errorf("qcow2: %w", err)
	}
	lo.DataOffset = l.HeaderSize // right behind the key slots, as QEMU has it
	p.luks, p.luksSize, p.crypt = lo, l.HeaderSize, cryptLUKS
	return nil
}

// A creation is one run of Create.
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

// encryption makes the encryption header and writes it.
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
