package vhdx

import (
	"iter"

	"github.com/luksimg/luksimg/image"
)

// Extents yields what the n bytes at off of the disk hold, clipped to the disk.
//
// What is not in the image, nor in its parent if it has one, is a Hole; so is a block
// of zeros without room in the file. A block with room in the file that reads as
// zeros nevertheless is Zero. Data that lie in a hole of the file, if the reader can
// tell, are a Hole too. A part of the block allocation table that is all zeros, of
// 8 KiB, is looked at once.
//
// Neighbouring extents may be of one kind; image.Extents joins them. An error in the
// metadata ends the sequence, which may be used more than once, and concurrently.
func (d *Disk) Extents(off, n int64) iter.Seq2[image.Extent, error] { return d.disk.Extents(off, n) }
