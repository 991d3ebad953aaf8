package vhdx

import "github.com/luksimg/luksimg/image"

// Regions returns what is in the file besides blocks: the header section, the log, and what the region table
// lists ([MS-VHDX], section 2.2), in order.
func (d *Disk) Regions() []image.Region {
	var all []image.Region
	for _, s := range d.regions.used {
		all = append(all, image.Region{Name: s.what, Offset: s.off, Length: s.length})
	}
	return all
}
