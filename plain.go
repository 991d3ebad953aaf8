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
	"github.com/luksimg/luksimg/vhdx"
	"github.com/luksimg/luksimg/vmdk"
)

// A plain writes unencrypted disks in one format.
type plain struct {
	file   func(ctx context.Context, dst io.WriterAt, src image.Source, o DecryptOptions) (*DecryptResult, error)
	stream func(ctx context.Context, dst io.Writer, src image.Source, o DecryptOptions) (*DecryptResult, error) // nil if the format needs seeking
}

var (
	rawPlain   = plain{file: plainRaw, stream: streamRaw}
	vhdPlain   = plain{file: plainVHD}
	vhdxPlain  = plain{file: plainVHDX}
	vmdkPlain  = plain{file: plainVMDK, stream: streamVMDK}
	qcow2Plain = plain{file: plainQCOW2}
)

// WrittenFormats returns the formats that [Decrypt] writes.
func WrittenFormats() []Format {
	var all []Format
	for _, f := range formats() {
		if f.plain != nil {
			all = append(all, f.name)
		}
	}
	return all
}

// WrittenInOrder reports whether [DecryptInOrder] writes a format.
func WrittenInOrder(f Format) bool {
	p, err := DecryptOptions{Format: f}.plain()
	return err == nil && p.stream != nil
}

// Check returns the error that [Decrypt] would return for o, whatever the disk.
func (o DecryptOptions) Check() error {
	_, err := o.plain()
	return err
}

// An OptionError reports a field of [DecryptOptions] that does not apply to the format.
type OptionError struct {
	Option string // the name of the field
	For    Format // the only format that has the option
	Format Format // the format to be written
}

func (e *OptionError) Error() string {
	return fmt.Sprintf("%s does not apply to format %q, only to %q", e.Option, e.Format, e.For)
}

// plain returns the writer for the format of the options, or an error if the options conflict.
func (o DecryptOptions) plain() (*plain, error) {
	for _, opt := range []struct {
		name   string
		set    bool
		format Format
	}{
		{"Fixed", o.Fixed, VHD},
		{"BlockSize", o.BlockSize != 0, VHDX},
		{"SectorSize", o.SectorSize != 0, VHDX},
		{"ClusterSize", o.ClusterSize != 0, QCOW2},
		{"Compression", o.Compression != "", QCOW2},
	} {
		if opt.set && o.Format != opt.format {
			return nil, &OptionError{Option: opt.name, For: opt.format, Format: cmp.Or(o.Format, Raw)}
		}
	}
	f, err := formatOf(cmp.Or(o.Format, Raw), nil, 0)
	if err != nil || f.plain == nil {
		return nil, fmt.Errorf("%w: %q cannot be written", ErrUnsupportedFormat, o.Format)
	}
	return f.plain, nil
}

func plainRaw(ctx context.Context, dst io.WriterAt, src image.Source, o DecryptOptions) (*DecryptResult, error) {
	if err := (engine.Plain{Source: src, Workers: o.workers()}).WriteFile(ctx, dst); err != nil {
		return nil, err
	}
	return &DecryptResult{src.Size(), src.Size(), 512}, nil
}

func streamRaw(ctx context.Context, dst io.Writer, src image.Source, o DecryptOptions) (*DecryptResult, error) {
	if err := (engine.Plain{Source: src, Workers: o.workers()}).WriteStream(ctx, dst); err != nil {
		return nil, err
	}
	return &DecryptResult{src.Size(), src.Size(), 512}, nil
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
	return &DecryptResult{c.VirtualSize, c.FileSize, 512}, nil
}

func plainQCOW2(ctx context.Context, dst io.WriterAt, src image.Source, o DecryptOptions) (*DecryptResult, error) {
	c, err := qcow.Create(ctx, dst, src, qcow.CreateOptions{ClusterSize: o.ClusterSize, Compression: o.Compression, Jobs: o.Jobs, Progress: o.Progress})
	if err != nil {
		return nil, err
	}
	return &DecryptResult{c.VirtualSize, c.FileSize, 512}, nil
}

func plainVHDX(ctx context.Context, dst io.WriterAt, src image.Source, o DecryptOptions) (*DecryptResult, error) {
	opts := vhdx.CreateOptions{BlockSize: o.BlockSize, SectorSize: o.SectorSize, Jobs: o.Jobs, Progress: o.Progress}
	if opts.SectorSize == 0 {
		opts.SectorSize = int64(sectorSizeOf(src))
	}
	c, err := vhdx.Create(ctx, dst, src, opts)
	if err != nil {
		return nil, err
	}
	return &DecryptResult{c.VirtualSize, c.FileSize, c.SectorSize}, nil
}

func plainVMDK(ctx context.Context, dst io.WriterAt, src image.Source, o DecryptOptions) (*DecryptResult, error) {
	return resultVMDK(vmdk.Create(ctx, dst, src, vmdk.CreateOptions{Jobs: o.Jobs, Progress: o.Progress}))
}

func streamVMDK(ctx context.Context, dst io.Writer, src image.Source, o DecryptOptions) (*DecryptResult, error) {
	return resultVMDK(vmdk.CreateInOrder(ctx, dst, src, vmdk.CreateOptions{Jobs: o.Jobs, Progress: o.Progress}))
}

func resultVMDK(c *vmdk.CreateResult, err error) (*DecryptResult, error) {
	if err != nil {
		return nil, err
	}
	return &DecryptResult{c.VirtualSize, c.FileSize, 512}, nil
}
