package vmdk

import "github.com/luksimg/luksimg/image"

// Regions returns the metadata regions of the file that was opened: header, descriptor and grain
// directories. Grain tables are not included. It returns nil if that file is a plain descriptor.
func (d *Disk) Regions() []image.Region {
	var all []image.Region
	for _, x := range d.extents {
		if x.other || x.sparse == nil {
			continue
		}
		for _, r := range x.sparse.regions {
			if len(all) > 0 && r.first == 0 { // header and footer are the same
				continue
			}
			all = append(all, image.Region{Name: r.name, Offset: r.first * sectorSize, Length: r.n * sectorSize})
		}
	}
	return all
}
