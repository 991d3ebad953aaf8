package luksimg

import (
	"context"
	"fmt"
	"io"

	"github.com/luksimg/luksimg/contents"
	"github.com/luksimg/luksimg/image"
	"github.com/luksimg/luksimg/luks"
)

// A Partition is one partition of the disk in an image. Its bytes are unchanged: if it contains LUKS,
// they are encrypted. Except for Close, its methods are safe for concurrent use.
type Partition struct {
	*image.Section
	Start    int64    // offset in the disk, in bytes
	Format   Format   // of the image; if it is [Raw], Start is also the offset in the file
	Warnings []string // oddities of the image and its partition table

	img *Image
}

// OpenPartition opens the partition with the number [ImageOptions.Partition] of the disk in r, as
// [OpenImage] does, but does not open LUKS inside it. Use it to read or change that LUKS header with
// package luks.
func OpenPartition(ctx context.Context, r io.ReaderAt, size int64, o ImageOptions) (*Partition, error) {
	number := o.Partition
	o.Partition = 0
	img, err := OpenImage(ctx, r, size, o)
	if err != nil {
		return nil, err
	}
	p, err := img.partition(ctx, number)
	if err != nil {
		img.Close()
		return nil, err
	}
	return p, nil
}

// Close wipes the keys of an encrypted image, as [Image.Close] does.
func (p *Partition) Close() error { return p.img.Close() }

// partition finds a partition of the disk by its number.
func (i *Image) partition(ctx context.Context, number int) (*Partition, error) {
	// On a disk with sectors of 4096 bytes, an MBR counts in those.
	if i.SectorSize > 512 && LabelOf(i.Source) == MBR {
		return nil, fmt.Errorf("%w: partitions of an MBR on a disk with sectors of %d bytes", image.ErrUnsupported, i.SectorSize)
	}
	p, warnings, err := contents.FindPartition(ctx, i.Source, number)
	if err != nil {
		return nil, err
	}
	s, err := image.NewSection(i.Source, p.Start, p.Size)
	return &Partition{s, p.Start, i.Format, append(warnings, i.Warnings...), i}, err
}

// format returns the format to open the partition with. Only LUKS is detected. The guest controls the
// content of the partition and must not choose its reader.
func (p *Partition) format() Format {
	for _, f := range known(p, p.Size()) {
		if f.Format == LUKS1 || f.Format == LUKS2 {
			return f.Format
		}
	}
	if luks.Detect(p, p.Size()) { // the secondary header of LUKS2 alone
		return LUKS2
	}
	return Raw
}

// openPartition makes a partition of the disk the source of i.
func (i *Image) openPartition(ctx context.Context, o ImageOptions) error {
	p, err := i.partition(ctx, o.Partition)
	if err != nil {
		return err
	}
	i.Source, i.Warnings, i.info, i.check = p.Section, p.Warnings, nil, nil
	format := p.format()
	if format == Raw {
		return nil
	}
	i.Format = format
	if o.top == nil {
		o.top = i
	}
	if err := openLUKS(ctx, i, p.Size(), o); err != nil {
		return fmt.Errorf("partition %d: %w", o.Partition, err)
	}
	return nil
}

// inspectPartition is [Inspect] for a partition.
func inspectPartition(ctx context.Context, r io.ReaderAt, size int64, o ImageOptions) (*Info, error) {
	p, err := OpenPartition(ctx, r, size, o)
	if err != nil {
		return nil, err
	}
	info, err := Inspect(ctx, p, p.Size(), ImageOptions{Format: p.format(), LUKS: o.LUKS, Unpack: Unpacking{Never: true}})
	if err != nil {
		p.Close()
		return nil, fmt.Errorf("partition %d: %w", o.Partition, err)
	}
	info.Warnings = append(p.Warnings, info.Warnings...)
	if info.Disk == nil {
		return info, p.Close()
	}
	info.Disk.close = append(info.Disk.close, p.Close)
	return info, nil
}
