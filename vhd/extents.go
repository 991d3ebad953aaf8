package vhd

import (
	"iter"

	"github.com/luksimg/luksimg/image"
)

// Extents yields what the n bytes at off of the disk hold, clipped to the disk.
//
// In a dynamic disk a block that is not in the file is a Hole, and a run of sectors
// whose bitmap bits are clear is Zero; in a differencing disk both are what the
// parent has there, and a Hole past its end. A run of absent blocks is one extent, or
// one question to the parent, and costs a look at each table entry, no reading; an
// allocated block has its bitmap read when it was not used before, and an error of
// that ends the sequence. Data that are not encrypted and lie in a hole of the file,
// if the reader can tell, are a Hole too. Extents does not need the key of an
// encrypted disk.
//
// Neighbouring extents may be of one kind; image.Extents joins them. The sequence
// may be used more than once, and concurrently.
func (d *Disk) Extents(off, n int64) iter.Seq2[image.Extent, error] { return d.disk.Extents(off, n) }
