package luksimg

import (
	"context"
	"errors"
	"fmt"

	"github.com/luksimg/luksimg/image"
	"github.com/luksimg/luksimg/luks"
	"github.com/luksimg/luksimg/qcow"
	"github.com/luksimg/luksimg/vdi"
	"github.com/luksimg/luksimg/vhd"
	"github.com/luksimg/luksimg/vhdx"
	"github.com/luksimg/luksimg/vmdk"
)

// The functions below each open one format. Before the call, i.Source is the file; afterwards it is the
// disk inside, and i can describe and check itself. The format's package checks the identity of a
// parent and detects loops within its format. This package detects loops across formats.

func openVHD(ctx context.Context, i *Image, size int64, o ImageOptions) error {
	opts, _ := o.asked.(vhd.Options)
	opts.ID, opts.Resolve = o.ID, o.others(ctx)
	d, err := readable(i, o, func(metadataOnly bool) (*vhd.Disk, error) {
		opts.MetadataOnly = metadataOnly
		return vhd.Open(ctx, i.Source, size, opts)
	})
	if err != nil {
		return err
	}
	v, err := d.Info(ctx)
	if err != nil {
		return err
	}
	i.info = func(context.Context) (*Info, error) {
		return &Info{Format: VHD, FileSize: size, VirtualSize: v.VirtualSize, DataSize: v.AllocatedBytes,
			Encrypted: v.Encrypted, VHD: &v, Regions: d.Regions(), Warnings: v.Warnings}, nil
	}
	i.check = func(ctx context.Context) (*CheckResult, error) {
		c, err := d.Check(ctx)
		return &CheckResult{c.Corruptions, c.Leaks, c.Problems}, err
	}
	if i.Encrypted = v.Encrypted; i.Encrypted && !o.look {
		if o.Key == nil {
			return fmt.Errorf("%w: a VHD whose blocks are encrypted", ErrEncrypted)
		}
		if err := d.Unlock(ctx, o.Key); err != nil {
			return err
		}
		o.top.close = append(o.top.close, d.Close)
	}
	i.use(d, v.Warnings)
	return nil
}

func openVHDX(ctx context.Context, i *Image, size int64, o ImageOptions) error {
	opts, _ := o.asked.(vhdx.Options)
	opts.ID, opts.Resolve = o.ID, o.others(ctx)
	d, err := readable(i, o, func(metadataOnly bool) (*vhdx.Disk, error) {
		opts.MetadataOnly = metadataOnly
		return vhdx.Open(ctx, i.Source, size, opts)
	})
	if err != nil {
		return err
	}
	i.info = func(ctx context.Context) (*Info, error) {
		v, err := d.Info(ctx)
		return &Info{Format: VHDX, FileSize: size, VirtualSize: v.VirtualSize, DataSize: v.AllocatedBytes,
			VHDX: &v, Regions: d.Regions(), Warnings: v.Warnings}, err
	}
	i.check = func(ctx context.Context) (*CheckResult, error) {
		c, err := d.Check(ctx)
		return &CheckResult{c.Corruptions, 0, c.Problems}, err
	}
	i.SectorSize = int(d.SectorSize())
	i.use(d, d.Warnings())
	return nil
}

func openVMDK(ctx context.Context, i *Image, size int64, o ImageOptions) error {
	opts, _ := o.asked.(vmdk.Options)
	opts.ID, opts.Resolve = o.ID, o.others(ctx)
	d, err := readable(i, o, func(metadataOnly bool) (*vmdk.Disk, error) {
		opts.MetadataOnly = metadataOnly
		return vmdk.Open(ctx, i.Source, size, opts)
	})
	if err != nil {
		return err
	}
	i.info = func(ctx context.Context) (*Info, error) {
		v, err := d.Info(ctx)
		return &Info{Format: VMDK, FileSize: size, VirtualSize: v.VirtualSize, DataSize: v.AllocatedBytes,
			VMDK: &v, Regions: d.Regions(), Warnings: v.Warnings}, err
	}
	i.check = func(ctx context.Context) (*CheckResult, error) {
		c, err := d.Check(ctx)
		return &CheckResult{c.Corruptions, 0, c.Problems}, err
	}
	i.use(d, d.Warnings())
	return nil
}

func openQCOW(ctx context.Context, i *Image, size int64, o ImageOptions) error {
	opts, _ := o.asked.(qcow.Options)
	opts.ID, opts.Resolve, opts.Snapshot, opts.KeyLimits = o.ID, o.others(ctx), o.Snapshot, o.LUKS
	d, err := readable(i, o, func(metadataOnly bool) (*qcow.Disk, error) {
		opts.MetadataOnly = metadataOnly
		return qcow.Open(ctx, i.Source, size, opts)
	})
	if err != nil {
		return err
	}
	i.info = func(ctx context.Context) (*Info, error) {
		q, err := d.Info(ctx)
		return &Info{Format: QCOW2, FileSize: size, VirtualSize: q.VirtualSize, DataSize: q.AllocatedBytes,
			Encrypted: q.Encryption != "", QCOW: &q, Regions: d.Regions(), Warnings: q.Warnings}, err
	}
	i.check = func(ctx context.Context) (*CheckResult, error) {
		c, err := d.Check(ctx)
		return &CheckResult{c.Corruptions, c.Leaks, c.Problems}, err
	}
	if e := d.Encryption(); e != "" && !o.look {
		if o.Key == nil {
			return fmt.Errorf("%w: a qcow2 image with %s", ErrEncrypted, e)
		}
		if err := d.Unlock(ctx, o.Key); err != nil {
			return err
		}
		i.Encrypted = true
		o.top.close = append(o.top.close, d.Close)
	}
	i.use(d, d.Warnings())
	return nil
}

func openVDI(ctx context.Context, i *Image, size int64, _ ImageOptions) error {
	d, err := vdi.Open(ctx, i.Source, size, vdi.Options{})
	if err != nil {
		return err
	}
	i.info = func(ctx context.Context) (*Info, error) {
		v, err := d.Info(ctx)
		return &Info{Format: VDI, FileSize: size, VirtualSize: v.VirtualSize, DataSize: v.AllocatedBytes,
			VDI: &v, Regions: d.Regions(), Warnings: v.Warnings}, err
	}
	i.check = func(ctx context.Context) (*CheckResult, error) {
		c, err := d.Check(ctx)
		return &CheckResult{c.Corruptions, 0, c.Problems}, err
	}
	i.use(d, d.Warnings())
	return nil
}

// openRaw leaves the file as it is.
func openRaw(_ context.Context, i *Image, _ int64, _ ImageOptions) error {
	i.info = func(ctx context.Context) (*Info, error) { return rawInfo(ctx, i.Source) }
	return nil
}

func errLocked(f Format) error {
	return fmt.Errorf("%w with %s", ErrEncrypted, map[Format]string{LUKS1: "LUKS1", LUKS2: "LUKS2"}[f])
}

func openLUKS(ctx context.Context, i *Image, size int64, o ImageOptions) error {
	locked := o.Key == nil && !o.look
	h, err := luks.Open(i.Source, size, o.LUKS)
	if locked && o.LUKS.Accept == nil && !errors.Is(err, luks.ErrNotLUKS) {
		return errLocked(i.Format) // whether it can be opened or not
	}
	if err != nil {
		return err
	}
	if locked {
		return errLocked(i.Format)
	}
	file := i.Source
	i.info = func(ctx context.Context) (*Info, error) { return luksInfo(ctx, h, file) }
	switch {
	case o.look:
		return nil
	case h.DataOffset() == 0:
		return ErrDetached
	}
	v, err := h.Unlock(ctx, o.Key)
	if err != nil {
		return err
	}
	i.use(v, h.Info().Warnings)
	i.Encrypted, i.UUID = true, h.UUID()
	o.top.close = append(o.top.close, v.Close)
	return nil
}

// readable opens the disk in a container. If that fails because other files are missing, an image that
// is only inspected is opened for its metadata.
func readable[D any](i *Image, o ImageOptions, open func(metadataOnly bool) (D, error)) (D, error) {
	d, err := open(false)
	if err != nil && o.look {
		i.blind = true
		return open(true)
	}
	return d, err
}

// use makes the disk inside the container the source. It prepends the warnings to those of the images
// behind it.
func (i *Image) use(disk image.Source, warnings []string) {
	i.Source, i.Warnings = disk, append(warnings, i.Warnings...)
}

// others returns the function that opens the other files that an image needs. It is nil if opening
// other files is not allowed.
func (o ImageOptions) others(ctx context.Context) func(image.Ref) (image.Source, error) {
	if o.Resolve == nil {
		return nil
	}
	return func(ref image.Ref) (image.Source, error) { return o.behind(ctx, ref) }
}

// behind opens another file that an image needs.
func (o ImageOptions) behind(ctx context.Context, ref image.Ref) (image.Source, error) {
	format, err := backingFormat(ref.Format)
	if err != nil {
		return nil, err
	}
	next := ImageOptions{Format: format, Key: o.Key, LUKS: o.LUKS, Resolve: o.Resolve,
		chain: o.chain.Next(o.ID), top: o.top, asked: ref.Options}
	ref.Depth = next.chain.Depth()
	f, err := o.Resolve(ref)
	if err != nil {
		return nil, err
	}
	if f == nil {
		return nil, fmt.Errorf("the resolver returned neither the %s nor an error", ref.What)
	}
	next.ID = f.ID
	img, err := OpenImage(ctx, f.ReaderAt, f.Size, next)
	if err != nil {
		return nil, fmt.Errorf("%s %q: %w", ref.What, f.ID, err)
	}
	o.top.Warnings = append(o.top.Warnings, img.Warnings...)
	return img.Source, nil
}
