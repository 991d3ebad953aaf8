package contents

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/luksimg/luksimg/contents/internal/bounded"
	"github.com/luksimg/luksimg/image"
)

// ErrNoPartition means that the disk has no partition with the given number.
var ErrNoPartition = errors.New("no such partition")

// FindPartition returns the partition of the disk src with a number, as Linux numbers them. It
// reads only the partition table, within the limits of [Inspect]: Filesystem is nil. The warnings
// describe oddities of the table.
//
// If there is no such partition, the error is [ErrNoPartition]. If the partition is not wholly
// inside the disk, or overlaps another one, the error is [image.ErrFormat].
func FindPartition(ctx context.Context, src image.Source, number int) (p Partition, warnings []string, err error) {
	i := newInspection(ctx, src)
	i.table()
	if err := i.disk.Failure(); err != nil {
		return Partition{}, nil, err
	}
	at := slices.IndexFunc(i.info.Partitions, func(p Partition) bool { return p.Number == number })
	if at < 0 {
		return Partition{}, nil, fmt.Errorf("%w: %s", ErrNoPartition, i.without(number))
	}
	p = i.info.Partitions[at]
	return p, i.info.Warnings, i.usable(p)
}

// without describes the partitions of a disk that lacks the one with this number.
func (i *inspection) without(number int) string {
	var text string
	switch all := i.info.Partitions; {
	case i.info.PartitionTable == NoTable:
		text = "the disk has no partition table"
	case len(all) == 0:
		text = fmt.Sprintf("there is none in the %s of the disk", strings.ToUpper(i.info.PartitionTable))
	default:
		var numbers []string
		for _, p := range all {
			numbers = append(numbers, fmt.Sprint(p.Number))
		}
		text = fmt.Sprintf("number %d; the disk has %s", number, strings.Join(numbers, ", "))
	}
	for _, w := range i.info.Warnings {
		text += "; " + w
	}
	return text
}

// usable returns an error for a partition that cannot serve as a disk.
func (i *inspection) usable(p Partition) error {
	fail := func(format string, args ...any) error {
		return fmt.Errorf("%w: partition %d %s", image.ErrFormat, p.Number, fmt.Sprintf(format, args...))
	}
	size := i.disk.Size()
	switch {
	case p.Type == typeExtended:
		return fmt.Errorf("%w: partition %d is an extended one, which only holds others", ErrNoPartition, p.Number)
	case p.Type == typeProtective:
		return fmt.Errorf("%w: partition %d stands for a GPT, but the disk has no GPT", ErrNoPartition, p.Number)
	case p.Size == 0:
		return fail("has no bytes: %s", strings.Join(i.info.Warnings, "; "))
	case p.Start > size || p.Size > size-p.Start:
		return fail("has %d bytes at %d, past the end of the disk at %d", p.Size, p.Start, size)
	}
	for _, o := range i.info.Partitions {
		if o.Number != p.Number && o.Type != typeExtended && o.Start < p.Start+p.Size && p.Start < o.Start+o.Size {
			return fail("has %d bytes at %d, and overlaps partition %d, which has %d at %d", p.Size, p.Start, o.Number, o.Size, o.Start)
		}
	}
	return nil
}

// newInspection returns an inspection of src.
func newInspection(ctx context.Context, src image.Source) *inspection {
	return &inspection{
		info: Info{PartitionTable: NoTable, CloudInit: Unknown},
		disk: bounded.New(ctx, src, src.Size(), maxBytes, maxReads),
	}
}
