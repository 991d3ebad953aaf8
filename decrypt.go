package luksimg

import (
	"cmp"
	"context"
	"fmt"
	"io"

	"github.com/luksimg/luksimg/image"
	"github.com/luksimg/luksimg/internal/engine"
	"github.com/luksimg/luksimg/qcow"
	"github.com/luksimg/luksimg/vhd"
)

// DecryptOptions say what [Decrypt] makes. The zero value is a raw disk.
type DecryptOptions struct {
	// Format is Raw, VHD or QCOW2; "" is Raw.
	Format Format

	// Fixed makes a VHD that has room for all of the disk, in place of a dynamic one.
	Fixed bool

	// ClusterSize is that of qcow2 in bytes, zero for 64 KiB.
	ClusterSize int64

	// Compression of qcow2 is "zlib", "zstd" or "" for none.
	Compression string

	RunOptions
}

// A DecryptResult says what [Decrypt] made.
type DecryptResult struct {
	// VirtualSize is the length of the disk in bytes. It is more than that of the source
	// where the format has no disk of such a length: a VHD and a qcow2 image have whole
	// sectors of 512 bytes, a fixed VHD has whole MiB. Zeros fill the rest.
	VirtualSize int64
	// FileSize is the length of dst in bytes.
	FileSize int64
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
	if o.Fixed && o.Format != VHD || (o.ClusterSize != 0 || o.Compression != "") && o.Format != QCOW2 {
		return nil, fmt.Errorf("options that do not go with format %q", o.Format)
	}
	f, err := formatOf(cmp.Or(o.Format, Raw), nil, 0)
	if err != nil || f.plain == nil {
		return nil, fmt.Errorf("%w: %q can not be written", ErrUnsupportedFormat, o.Format)
	}
	return f.plain(ctx, dst, src, o)
}

// DecryptInOrder writes the disk src to dst in order, as a raw disk. It does not stop while dst
// does not take what is written.
func DecryptInOrder(ctx context.Context, dst io.Writer, src image.Source, o RunOptions) error {
	return engine.Plain{Source: src, Workers: o.workers()}.WriteStream(ctx, dst)
}

func plainRaw(ctx context.Context, dst io.WriterAt, src image.Source, o DecryptOptions) (*DecryptResult, error) {
	if err := (engine.Plain{Source: src, Workers: o.workers()}).WriteFile(ctx, dst); err != nil {
		return nil, err
	}
	return &DecryptResult{src.Size(), src.Size()}, nil
}

func plainVHD(ctx context.Context, dst io.WriterAt, src image.Source, o DecryptOptions) (*DecryptResult, error) {
	opts := vhd.CreateOptions{Jobs: o.Jobs, Progress: o.Progress}
	if o.Fixed {
		opts.Type = vhd.Fixed
	}
	c, err := vhd.Create(ctx, dst, src, opts)
	if err != nil {
		return nil, err
	}
	return &DecryptResult{c.VirtualSize, c.FileSize}, nil
}

func plainQCOW2(ctx context.Context, dst io.WriterAt, src image.Source, o DecryptOptions) (*DecryptResult, error) {
	c, err := qcow.Create(ctx, dst, src, qcow.CreateOptions{ClusterSize: o.ClusterSize, Compression: o.Compression, Jobs: o.Jobs, Progress: o.Progress})
	if err != nil {
		return nil, err
	}
	return &DecryptResult{c.VirtualSize, c.FileSize}, nil
}
