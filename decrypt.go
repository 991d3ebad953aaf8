package luksimg

import (
	"context"
	"fmt"
	"io"

	"github.com/luksimg/luksimg/image"
)

// DecryptOptions configure [Decrypt]. The zero value makes a raw disk.
type DecryptOptions struct {
	// Format is one of [WrittenFormats]; "" means Raw. A VMDK is streamOptimized: compressed, for
	// import only.
	Format Format

	// Fixed makes a fixed VHD, which allocates the whole disk, instead of a dynamic one.
	Fixed bool

	// BlockSize is the block size of a VHDX in bytes; zero means 32 MiB.
	BlockSize int64

	// SectorSize is the size of the logical sectors of a VHDX in bytes, 512 or 4096. Zero means that of
	// the source, because its partition table counts in those sectors.
	SectorSize int64

	// ClusterSize is the cluster size of qcow2 in bytes; zero means 64 KiB.
	ClusterSize int64

	// Compression is the compression of qcow2: "zlib", "zstd", or "" for none.
	Compression string

	RunOptions
}

// A DecryptResult describes what [Decrypt] made.
type DecryptResult struct {
	// VirtualSize is the length of the disk in bytes. It exceeds the length of the source if the format
	// rounds up: VHD, VMDK and qcow2 to sectors of 512 bytes, VHDX to SectorSize, a fixed VHD to MiB.
	// Zeros fill the rest.
	VirtualSize int64
	// FileSize is the length of dst in bytes.
	FileSize int64
	// SectorSize is the size of the disk's sectors in bytes: 4096 for a VHDX with such sectors, else
	// 512.
	SectorSize int64
}

// Decrypt writes the plaintext of the disk src to dst, which must be new. src is usually an [Image]
// that was opened with its key. Zeros take no space if the format supports that; in a raw file they
// become holes.
//
// Before Decrypt writes a raw disk, it calls two methods of dst, if dst has them. The first is
// Expect(size int64, dense bool) error, with dense false. The second is Truncate(size int64) error, so
// that a file that cannot hold the disk fails at once. An error of either ends the job.
func Decrypt(ctx context.Context, dst io.WriterAt, src image.Source, o DecryptOptions) (*DecryptResult, error) {
	p, err := o.plain()
	if err != nil {
		return nil, err
	}
	return p.file(ctx, dst, src, o)
}

// DecryptInOrder is like [Decrypt] but writes dst in order, so dst can be a pipe. The format must be
// Raw or VMDK; others fail with [ErrUnsupportedFormat]. It cannot be cancelled while a Write to dst
// blocks.
func DecryptInOrder(ctx context.Context, dst io.Writer, src image.Source, o DecryptOptions) (*DecryptResult, error) {
	p, err := o.plain()
	switch {
	case err != nil:
		return nil, err
	case p.stream == nil:
		return nil, fmt.Errorf("%w: a %s image cannot be written in order: its header depends on its last data", ErrUnsupportedFormat, o.Format)
	}
	return p.stream(ctx, dst, src, o)
}
