package main

import (
	"context"
	"fmt"

	"github.com/luksimg/luksimg"
	"github.com/luksimg/luksimg/cmd/luksimg/internal/flags"
	"github.com/luksimg/luksimg/image"
	"github.com/luksimg/luksimg/internal/rest"
	"github.com/luksimg/luksimg/luks"
)

// take makes partition n of the disk in the file what is read of it, if n is not 0.
func (in *input) take(ctx context.Context, g *global, n flags.Partition) error {
	if n == 0 {
		return nil
	}
	p, err := luksimg.OpenPartition(ctx, in.r, in.size, luksimg.ImageOptions{Partition: int(n), Unpack: luksimg.Unpacking{Never: true}})
	if err != nil {
		return in.wrap(err)
	}
	g.WarnAll(in.name+": ", p.Warnings)
	in.r, in.size, in.partition, in.number = p, p.Size(), p, n
	return nil
}

// writable returns what is changed in place: the file, or the partition that was taken.
func (in *input) writable() (luks.File, error) {
	switch {
	case in.partition == nil:
		return in.f, nil
	case in.partition.Format != luksimg.Raw:
		return nil, rest.WithHint(fmt.Errorf("%w: changing a partition of a %s image in place", image.ErrUnsupported, in.partition.Format),
			"luksimg convert makes a raw disk, of which that is done")
	}
	return in.partition.Writable(in.f), nil
}
