package vdi

import "github.com/luksimg/luksimg/image"

// Regions returns the metadata regions of the file: the header and the block map.
func (d *Disk) Regions() []image.Region {
	return []image.Region{
		{Name: "the header", Offset: 0, Length: d.h.end},
		{Name: "the block map", Offset: d.h.mapOff, Length: d.h.mapEnd() - d.h.mapOff},
	}
}
