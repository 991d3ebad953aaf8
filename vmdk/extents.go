package vmdk

import (
	"iter"

	"github.com/luksimg/luksimg/image"
)

// Extents yields the extents of the n bytes at off, clipped to the disk.
//
// A range that neither the image nor its parent holds is a Hole. So is a grain that is marked as
// zeros, and an extent of zeros. Uncompressed data in a hole of its file is a Hole, if the file
// reports holes. For a directory entry without a grain table, Extents reads nothing.
//
// Adjacent extents can have the same kind; image.Extents merges them. The sequence ends after an
// error in the metadata. It can be used more than once, and concurrently.
func (d *Disk) Extents(off, n int64) iter.Seq2[image.Extent, error] { return d.disk.Extents(off, n) }
