package luksimg

import (
	"context"
	"fmt"
	"io"

	"github.com/luksimg/luksimg/image"
)

// DecryptOptions say what [Decrypt] makes. The zero value is a raw disk.
type DecryptOptions struct {
	// Format is one of [WrittenFormats]; "" is Raw. A VMDK is streamOptimized: compressed, and
	// to be imported, not written to.
	Format Format

	// Fixed makes a VHD that has room for all of the disk, in place of a dynamic one.
	Fixed bool

	// BlockSize is that of a VHDX in bytes, zero for 32 MiB.
	BlockSize int64

	// SectorSize is that of the logical sectors of a VHDX in bytes, 512 or 4096. Zero is what the
	// source has: its partition table counts in that.
	SectorSize int64

	// ClusterSize is that of qcow2 in bytes, zero for 64 KiB.
	ClusterSize int64

	// Compression of qcow2 is "zlib", "zstd" or "" for none.
	Compression string

	RunOptions
}

// A DecryptResult says what [Decrypt] made.
type DecryptResult struct {
	// VirtualSize is the length of the disk in bytes. It is more than that of the source
	// where the format has no disk of such a length: a VHD, a VMDK and a qcow2 image have whole
	// sectors of 512 bytes, a VHDX those of SectorSize, a fixed VHD has whole MiB. Zeros fill the rest.
	VirtualSize int64
	// FileSize is the length of dst in bytes.
	FileSize int64
	// SectorSize is that of the disk's sectors in bytes: 4096 in a VHDX that has such, else 512.
	SectorSize int64
}

// Decrypt writes the disk src, most often an [Image] that was opened with its key, to dst, which
// must be new. It is not encrypted there. What is zero takes no room, as far as the format has a
// way to say so: in a file with a raw disk there are holes.
//
// Before a raw disk is written, dst gets its length by its method Truncate if it has one, so
// that a file that cannot be so long is an error at once. If it has a method
// Expect(size int64, dense bool) error, that is called before, with false for dense; an
// error of either ends the job.
func Decrypt(ctx context.Context, dst io.WriterAt, src image.Source, o DecryptOptions) (*DecryptResult, error) {
	p, err := o.plain()
	if err != nil {
		return nil, err
	}
	return p.file(ctx, dst, src, o)
}

// DecryptInOrder is [Decrypt] for a dst that is written in order, such as a pipe. The format is Raw
// or VMDK. It does not stop while dst does not take what is written.
func DecryptInOrder(ctx context.Context, dst io.Writer, src image.Source, o DecryptOptions) (*DecryptResult, error) {
	p, err := o.plain()
	switch {
	case err != nil:
		return nil, err
	case p.stream == nil:
		return nil, fmt.Errorf("%w: a %s image can not be written in order: its start is known when its end is", ErrUnsupportedFormat, o.Format)
	}
	return p.stream(ctx, dst, src, o)
}
