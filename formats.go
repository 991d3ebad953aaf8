package luksimg

import (
	"context"
	"fmt"

	"github.com/luksimg/luksimg/image"
	"github.com/luksimg/luksimg/luks"
	"github.com/luksimg/luksimg/qcow"
	"github.com/luksimg/luksimg/vdi"
	"github.com/luksimg/luksimg/vhd"
	"github.com/luksimg/luksimg/vhdx"
	"github.com/luksimg/luksimg/vmdk"
)

// What follows opens each format. The file is the source of the image before, and the
// disk in it afterwards. Identities, such as that of the parent of a differencing disk,
// are checked by the packages of the formats; chains and loops by all of them and here.

func openVHD(ctx context.Context, i *Image, size int64, o ImageOptions) error {
	opts, _ := o.asked.(vhd.Options)
	opts.ID, opts.Resolve = o.ID, nil
	if o.Resolve != nil {
		opts.Resolve = func(r vhd.Ref) (image.Source, error) {
			return o.behind(ctx, Ref{What: "parent disk", Names: names(r.RelativePath, r.AbsolutePath, r.Name), Format: VHD}, r.Options())
		}
	}
	d, err := vhd.Open(i.Source, size, opts)
	if err != nil {
		return err
	}
	info := d.Info()
	if i.Encrypted = info.Encrypted; i.Encrypted {
		if o.Key == nil {
			return fmt.Errorf("%w: a VHD whose blocks are encrypted", ErrEncrypted)
		}
		if err := d.Unlock(o.Key); err != nil {
			return err
		}
		o.top.close = append(o.top.close, d.Close)
	}
	i.use(d, info.Warnings)
	return nil
}

func openVHDX(ctx context.Context, i *Image, size int64, o ImageOptions) error {
	opts, _ := o.asked.(vhdx.Options)
	opts.ID, opts.Resolve = o.ID, nil
	if o.Resolve != nil {
		opts.Resolve = func(r vhdx.Ref) (image.Source, error) {
			return o.behind(ctx, Ref{What: "parent disk", Names: names(r.RelativePath, r.VolumePath, r.AbsolutePath), Format: VHDX}, r.Options())
		}
	}
	d, err := vhdx.Open(i.Source, size, opts)
	if err != nil {
		return err
	}
	i.SectorSize = int(d.SectorSize())
	i.use(d, d.Warnings())
	return nil
}

func openVMDK(ctx context.Context, i *Image, size int64, o ImageOptions) error {
	opts, _ := o.asked.(vmdk.Options)
	opts.ID, opts.Resolve = o.ID, nil
	if o.Resolve != nil {
		opts.Resolve = func(r vmdk.Ref) (image.Source, error) {
			if r.Parent {
				return o.behind(ctx, Ref{What: "parent disk", Names: names(r.Name), Format: VMDK}, r.Options())
			}
			return o.behind(ctx, Ref{What: "extent", Names: names(r.Name), Format: Raw}, nil)
		}
	}
	d, err := vmdk.Open(i.Source, size, opts)
	if err != nil {
		return err
	}
	i.use(d, d.Warnings())
	return nil
}

func openQCOW(ctx context.Context, i *Image, size int64, o ImageOptions) error {
	opts := qcow.Options{Snapshot: o.Snapshot, KeyLimits: o.LUKS}
	if o.Resolve != nil {
		opts.Resolve = func(r qcow.Ref) (image.Source, error) {
			if r.DataFile {
				return o.behind(ctx, Ref{What: "external data file", Names: names(r.Name), Format: Raw}, nil)
			}
			format, err := backingFormat(r.Format)
			if err != nil {
				return nil, err
			}
			return o.behind(ctx, Ref{What: "backing file", Names: names(r.Name), Format: format}, nil)
		}
	}
	d, err := qcow.Open(ctx, i.Source, size, opts)
	if err != nil {
		return err
	}
	if e := d.Encryption(); e != "" {
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

func openVDI(_ context.Context, i *Image, size int64, _ ImageOptions) error {
	d, err := vdi.Open(i.Source, size, vdi.Options{})
	if err != nil {
		return err
	}
	i.use(d, d.Warnings())
	return nil
}

// openRaw leaves the file as it is.
func openRaw(context.Context, *Image, int64, ImageOptions) error { return nil }

func openLUKS(ctx context.Context, i *Image, size int64, o ImageOptions) error {
	if o.Key == nil {
		return fmt.Errorf("%w with %s", ErrEncrypted, map[Format]string{LUKS1: "LUKS1", LUKS2: "LUKS2"}[i.Format])
	}
	h, err := luks.Open(i.Source, size, o.LUKS)
	if err != nil {
		return err
	}
	if h.DataOffset() == 0 {
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

// use makes the disk in the container the source. Warnings of what is behind it are there
// already.
func (i *Image) use(disk image.Source, warnings []string) {
	i.Source, i.Warnings = disk, append(warnings, i.Warnings...)
}

// names leaves out what is empty.
func names(all ...string) []string {
	var some []string
	for _, n := range all {
		if n != "" {
			some = append(some, n)
		}
	}
	return some
}

// behind opens another file that an image needs. What the package of the format asks of it
// are options of that package, or nil.
func (o ImageOptions) behind(ctx context.Context, ref Ref, asked any) (image.Source, error) {
	next := ImageOptions{Format: ref.Format, Key: o.Key, LUKS: o.LUKS, Resolve: o.Resolve,
		chain: o.chain.Next(o.ID), top: o.top, asked: asked}
	ref.From, ref.Depth = o.ID, next.chain.Depth()
	f, err := o.Resolve(ref)
	if err != nil {
		return nil, err
	}
	if f == nil {
		return nil, fmt.Errorf("the resolver gave neither the %s nor an error", ref.What)
	}
	next.ID = f.ID
	img, err := OpenImage(ctx, f.ReaderAt, f.Size, next)
	if err != nil {
		return nil, fmt.Errorf("%s %q: %w", ref.What, f.ID, err)
	}
	o.top.Warnings = append(o.top.Warnings, img.Warnings...)
	return img.Source, nil
}
