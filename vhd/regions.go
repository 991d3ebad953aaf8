package vhd

import (
	"slices"

	"github.com/luksimg/luksimg/image"
)

// Regions returns the metadata regions of the file: the footer and its copy, the dynamic disk
// header and the block allocation table.
func (d *Disk) Regions() []image.Region { return slices.Clone(d.regions) }

// setRegions records the regions of a file. h is nil for a fixed disk.
func (d *Disk) setRegions(f *footer, h *header) {
	if h != nil {
		for _, r := range h.regions() {
			d.regions = append(d.regions, image.Region{Name: r.name, Offset: r.start, Length: r.end - r.start})
		}
	}
	if !f.isCopy {
		d.regions = append(d.regions, image.Region{Name: "the footer", Offset: f.off, Length: d.fileSize - f.off})
	}
}
