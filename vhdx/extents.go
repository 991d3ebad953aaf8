package vhdx

import (
	"iter"

	"github.com/luksimg/luksimg/image"
)

// Extents yields the extents of the n bytes at off, clipped to the disk.
//
// A range that neither the image nor its parent holds is a Hole. A block of zeros is a Hole too, or
// Zero if it is allocated in the file. Data in a hole of the file is a Hole, if r reports holes.
// Extents checks each page of zeros of the block allocation table, of 8 KiB, only once.
//
// Adjacent extents can have the same kind; image.Extents merges them. The sequence ends after an
// error in the metadata. It can be used more than once, and concurrently.
func (d *Disk) Extents(off, n int64) iter.Seq2[image.Extent, error] { return d.disk.Extents(off, n) }
