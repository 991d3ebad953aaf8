package vhd

import (
	"iter"

	"github.com/luksimg/luksimg/image"
)

// Extents yields the extents of the n bytes at off, clipped to the disk.
//
// In a dynamic disk, a block that is not allocated is a Hole, and a run of sectors with clear
// bitmap bits is Zero. In a differencing disk, both have the extents of the parent, or are a Hole
// past its end. Unencrypted data in a hole of the file is a Hole, if r reports holes.
//
// A run of absent blocks is one extent, or one request to the parent, and needs no reads. The first
// use of an allocated block reads its bitmap; an error of that ends the sequence. Extents does not
// need the key of an encrypted disk.
//
// Adjacent extents can have the same kind; image.Extents merges them. The sequence can be used more
// than once, and concurrently.
func (d *Disk) Extents(off, n int64) iter.Seq2[image.Extent, error] { return d.disk.Extents(off, n) }
