package qcow

import (
	"iter"

	"github.com/luksimg/luksimg/image"
)

// Extents yields what the n bytes at off of the disk hold, clipped to the disk.
//
// Where the image has no cluster, and its backing file, if any, has nothing, is a
// Hole; so is a cluster of zeros without room in the file. A cluster with room in
// the file that reads as zeros nevertheless is Zero. Data that are not encrypted
// and lie in a hole of the file, if the reader can tell, are a Hole too. Where there
// is no L2 table, an L1 entry is all that is looked at.
//
// Extents does not need the key of an encrypted disk. Neighbouring extents may be of
// one kind; image.Extents joins them. An error in the metadata ends the sequence,
// which may be used more than once, and concurrently.
func (d *Disk) Extents(off, n int64) iter.Seq2[image.Extent, error] { return d.disk.Extents(off, n) }
