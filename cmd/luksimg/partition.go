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

// take replaces the file by partition n of its disk, unless n is 0.
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

// writable returns the file, or the partition that take chose, for changes in place.
func (in *input) writable() (luks.File, error) {
	switch {
	case in.partition == nil:
		return in.f, nil
	case in.partition.Format != luksimg.Raw:
		return nil, rest.WithHint(fmt.Errorf("%w: changing a partition of a %s image in place", image.ErrUnsupported, in.partition.Format),
			"luksimg convert makes a raw disk, whose partitions luksimg can change")
	}
	return in.partition.Writable(in.f), nil
}
