package vhdx

import "github.com/luksimg/luksimg/image"

// Regions returns the metadata regions of the file in order: the header section, the log, and the
// regions in the region table ([MS-VHDX], section 2.2).
func (d *Disk) Regions() []image.Region {
	var all []image.Region
	for _, s := range d.regions.used {
		all = append(all, image.Region{Name: s.what, Offset: s.off, Length: s.length})
	}
	return all
}
