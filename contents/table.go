package contents

import (
	"cmp"
	"slices"
	"strings"

	"github.com/luksimg/luksimg/internal/mbr"
)

// table finds the partition table: a GPT, an MBR, or none.
func (i *inspection) table() {
	first, err := i.disk.Bytes(0, 512)
	if err != nil {
		return
	}
	m := mbr.Parse(first)
	whole, err := identify(i.part(nil, probeBytes, probeReads))
	if err != nil {
		i.warnf("could not read the disk: %v", err)
	}
	i.whole = whole
	// These formats have their mark in place of boot code. An apparent table is a remnant or
	// chance.
	if whole != nil && slices.Contains([]string{"luks1", "luks2", "xfs", "bitlocker", "ntfs", "exfat"}, whole.Type) {
		return
	}
	free := whole == nil || whole.Optical()
	protective := m != nil && m.Protective
	g, damage := i.gpt(protective || m == nil && free)
	switch {
	case g != nil && (protective || m == nil && free):
		i.useGPT(g, m)
		return
	case g != nil:
		i.warnf("the disk has a GPT, but no MBR that refers to it: the GPT was ignored as a remnant")
	case damage != nil && (protective || m == nil && free):
		i.info.PartitionTable = GPT
		i.warnf("the GPT of the disk cannot be used: %v", damage)
		return
	}
	if m == nil {
		return
	}
	if m.Protective {
		i.warnf("the disk has a protective MBR, but no GPT")
	}
	// The boot sector of FAT ends like an MBR.
	if whole != nil && strings.HasPrefix(whole.Type, "fat") && !i.plausible(m) {
		return
	}
	i.useMBR(m)
}

// add appends a partition. It warns if the partition is not inside the disk.
func (i *inspection) add(p Partition) bool {
	if len(i.info.Partitions) == maxPartitions {
		i.warnf("more than %d partitions: the rest was ignored", maxPartitions)
		return false
	}
	if size := i.disk.Size(); p.Start > size || p.Size > size-p.Start {
		i.warnf("partition %d ends past the end of the disk", p.Number)
	}
	i.info.Partitions = append(i.info.Partitions, p)
	return true
}

// overlaps warns about partitions that overlap.
func (i *inspection) overlaps() {
	order := slices.Clone(i.info.Partitions)
	order = slices.DeleteFunc(order, func(p Partition) bool { return p.Type == typeExtended })
	slices.SortStableFunc(order, func(a, b Partition) int { return cmp.Compare(a.Start, b.Start) })
	for n := 1; n < len(order); n++ {
		if a, b := order[n-1], order[n]; a.Start+a.Size > b.Start {
			i.warnf("partitions %d and %d overlap", a.Number, b.Number)
		}
	}
}
