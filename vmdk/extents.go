package vmdk

import (
	"iter"

	"github.com/luksimg/luksimg/image"
)

// Extents yields what the n bytes at off of the disk hold, clipped to the disk.
//
// Where the image has no grain, and its parent, if any, has nothing, is a Hole; so is
// a grain that is marked as zeros, and an extent of zeros. Data that are not
// compressed and lie in a hole of their file, if the reader can tell, are a Hole too.
// Where there is no grain table, an entry of the grain directory is all that is
// looked at.
//
// Neighbouring extents may be of one kind; image.Extents joins them. An error in the
// metadata ends the sequence, which may be used more than once, and concurrently.
func (d *Disk) Extents(off, n int64) iter.Seq2[image.Extent, error] { return d.disk.Extents(off, n) }
