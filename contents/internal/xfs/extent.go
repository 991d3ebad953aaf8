package xfs

import "fmt"

// A run is a part of a file: contiguous blocks on the disk, or a hole.
type run struct {
	start  uint64 // block of the filesystem, unless a hole
	blocks uint64 // at least one
	hole   bool
}

const (
	recordSize = 16
	pairSize   = 16 // a key and a pointer
	maxLevel   = 9  // XFS_BM_MAXLEVELS is 5 to 9
	farEnd     = uint64(1) << 54
)

// locate returns the run of the file that starts at a block of the file ("Data Extents").
func (n *Node) locate(block uint64) (run, error) {
	if block >= farEnd {
		return run{}, bad(n.at, "file block", block, "less than 2^54")
	}
	switch n.format {
	case formatExtents:
		if room := uint64(len(n.fork) / recordSize); n.extents > room {
			return run{}, bad(n.at+76, "di_nextents", n.extents, fmt.Sprintf("at most %d", room))
		}
		return records(n.fork[:n.extents*recordSize], block, farEnd), nil
	case formatBtree:
		return n.btree(block)
	}
	return run{}, bad(n.at+5, "di_format", n.format, "extents or an extent tree")
}

// records looks a block up in sorted extents, all of which start before end.
func records(b []byte, block, end uint64) run {
	for ; len(b) >= recordSize; b = b[recordSize:] {
		hi, lo := be.Uint64(b), be.Uint64(b[8:])
		unwritten, first, length := hi>>63 != 0, hi<<1>>10, lo&(1<<21-1)
		start := hi&(1<<9-1)<<43 | lo>>21
		if first > block {
			end = min(end, first)
			break
		}
		if skip := block - first; skip < length {
			return run{start + skip, length - skip, unwritten}
		}
	}
	return run{blocks: end - block, hole: true}
}

// btree looks a block up in an extent tree, whose root is in the inode ("B+tree Extent List").
func (n *Node) btree(block uint64) (run, error) {
	if len(n.fork) < 4+pairSize {
		return run{}, bad(n.at+82, "di_forkoff", len(n.fork)/8, "space for an extent tree")
	}
	level, count := int(be.Uint16(n.fork)), int(be.Uint16(n.fork[2:]))
	pairs, at := n.fork[4:], n.forkAt
	if level < 1 || level > maxLevel {
		return run{}, bad(at, "bb_level", level, fmt.Sprintf("from 1 to %d", maxLevel))
	}
	magic, header := "BMAP", int64(24)
	if n.f.v5 {
		magic, header = "BMA3", 72
	}
	for end := farEnd; ; {
		room := len(pairs) / pairSize
		if count < 1 || count > room {
			return run{}, bad(at+2, "bb_numrecs", count, fmt.Sprintf("from 1 to %d", room))
		}
		nth, next := -1, end
		for i := range count {
			key := be.Uint64(pairs[8*i:])
			if key > block {
				next = min(next, key)
				break
			}
			nth = i
		}
		if nth < 0 {
			return run{blocks: next - block, hole: true}, nil
		}
		b, where, err := n.f.read(be.Uint64(pairs[8*(room+nth):]), n.f.blockSize())
		if err != nil {
			return run{}, err
		}
		at, end = where, next
		if string(b[:4]) != magic {
			return run{}, bad(at, "bb_magic", fmt.Sprintf("%q", b[:4]), magic)
		}
		if got := int(be.Uint16(b[4:])); got != level-1 {
			return run{}, bad(at+4, "bb_level", got, fmt.Sprint(level-1))
		}
		level--
		count = int(be.Uint16(b[6:]))
		pairs = b[header:]
		if level > 0 {
			at += 4 // bb_numrecs is at 6 here, but at 2 in the inode
			continue
		}
		if room := len(pairs) / recordSize; count > room {
			return run{}, bad(at+6, "bb_numrecs", count, fmt.Sprintf("at most %d", room))
		}
		return records(pairs[:count*recordSize], block, end), nil
	}
}
