package main

import (
	"github.com/luksimg/luksimg"
	"github.com/luksimg/luksimg/cmd/luksimg/internal/talk"
	"github.com/luksimg/luksimg/image"
)

// A change is how a disk in an image differs from the one that it was made of.
type change struct {
	sectorSize int    // bytes; of what the partition table does not find its partitions in others
	longer     int64  // so many bytes of zeros are at its end
	why        string // it is longer; "" if that need not be said
}

// label warns of what a change does to the partition table on the disk.
func (c change) label(t *talk.Talk, src image.Source) {
	switch {
	case c.longer <= 0:
	case luksimg.LabelOf(src) == luksimg.GPT:
		t.Warn("the disk has a GPT, whose backup header is no longer at the end of the disk: the disk became %d bytes longer. "+
			"Most systems put that right when they boot; sgdisk --move-second-header does it by hand", c.longer)
	case c.why != "":
		t.Warn("the disk became %d bytes longer: %s", c.longer, c.why)
	}
	switch counts := luksimg.LabelSectorSize(src); {
	case counts == 0 || counts == c.sectorSize:
	case counts == 4096:
		t.Warn("the partition table of the disk counts in sectors of 4096 bytes, and will not be found with sectors of %d: "+
			"luksimg encrypt --sector-size 4096 makes a LUKS2 image that has them", c.sectorSize)
	default:
		t.Warn("the disk has a partition table, which counts in sectors of %d bytes; with sectors of %d bytes "+
			"its partitions will not be found", counts, c.sectorSize)
	}
}

// label warns of a partition table that does not go with what was made.
func (s *diskSource) label(t *talk.Talk, r *luksimg.Result) {
	sector := max(r.LUKS.SectorSize, 512)
	longer := r.VolumeSize - r.SourceSize
	if longer > 0 && longer < int64(sector) { // more is what a profile asks for
		t.Say("the disk became %d bytes longer, to have whole sectors of %d bytes", longer, sector)
	}
	change{sectorSize: sector, longer: longer}.label(t, s.looked())
}
