package vmdk

import "github.com/luksimg/luksimg/image"

// Regions returns what is in the file that was opened besides grains and grain tables: header, descriptor and grain
// directories. There are none if that file is a descriptor alone.
func (d *Disk) Regions() []image.Region {
	var all []image.Region
	for _, x := range d.extents {
		if x.other || x.sparse == nil {
			continue
		}
		for _, r := range x.sparse.regions {
			if len(all) > 0 && r.first == 0 { // the footer is the header
				continue
			}
			all = append(all, image.Region{Name: r.name, Offset: r.first * sectorSize, Length: r.n * sectorSize})
		}
	}
	return all
}
