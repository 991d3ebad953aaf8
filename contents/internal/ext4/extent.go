package ext4

import "fmt"

// A run is a part of a file: contiguous blocks on the disk, or a hole.
type run struct {
	start  int64 // block of the disk, unless a hole
	blocks int64 // at least one
	hole   bool
}

// locate returns the run of the file that starts at a block of the file.
func (n *Node) locate(block int64) (run, error) {
	if n.flags&flagExtents != 0 {
		return n.extent(block)
	}
	return n.indirect(block)
}

const (
	extentMagic = 0xf30a
	extentSize  = 12 // size of the header, of an index and of an extent
	maxDepth    = 5
	maxLength   = 32768          // maximum length of an extent with data
	farEnd      = int64(1) << 32 // no file has more blocks
)

// extent looks a block up in the extent tree ("Extent Tree").
func (n *Node) extent(block int64) (run, error) {
	node, at := n.raw[40:100], n.at+40
	end := farEnd // end of the range that the node covers
	if block >= end {
		return run{}, bad(at, "file block", block, "less than 2^32")
	}
	for depth := -1; ; {
		if m := le.Uint16(node); m != extentMagic {
			return run{}, bad(at, "eh_magic", m, "0xf30a")
		}
		entries, got := int(le.Uint16(node[2:])), int(le.Uint16(node[6:]))
		if room := len(node)/extentSize - 1; entries > room {
			return run{}, bad(at+2, "eh_entries", entries, fmt.Sprintf("at most %d", room))
		}
		switch {
		case depth < 0 && got > maxDepth:
			return run{}, bad(at+6, "eh_depth", got, fmt.Sprintf("at most %d", maxDepth))
		case depth > 0 && got != depth-1:
			return run{}, bad(at+6, "eh_depth", got, fmt.Sprint(depth-1))
		}
		depth = got
		// Find the last entry that starts at the block or before it.
		nth, next := -1, end
		for i := range entries {
			first := int64(le.Uint32(node[extentSize*(i+1):]))
			if first > block {
				next = min(next, first)
				break
			}
			nth = i
		}
		if nth < 0 {
			return run{blocks: next - block, hole: true}, nil
		}
		e := node[extentSize*(nth+1):][:extentSize]
		if depth == 0 {
			return leaf(e, block, next), nil
		}
		child := int64(le.Uint32(e[4:])) | int64(le.Uint16(e[8:]))<<32
		b, err := n.f.block(child)
		if err != nil {
			return run{}, err
		}
		node, at, end = b, child*n.f.blockSize, next
	}
}

// leaf returns the run of an extent for a block at its start or after it. The next extent starts at
// next.
func leaf(e []byte, block, next int64) run {
	first, length := int64(le.Uint32(e)), int64(le.Uint16(e[4:]))
	hole := length > maxLength // allocated, but never written
	if hole {
		length -= maxLength
	}
	skip := block - first
	if skip >= length {
		return run{blocks: next - block, hole: true}
	}
	start := int64(le.Uint32(e[8:])) | int64(le.Uint16(e[6:]))<<32
	return run{start + skip, min(length, next-first) - skip, hole}
}

// indirect looks a block up in the twelve direct pointers and the trees of one to three levels
// ("Direct/Indirect Block Addressing").
func (n *Node) indirect(block int64) (run, error) {
	const direct = 12
	pointers := n.raw[40:100]
	if block < direct {
		return pointed(pointers, block, 1), nil
	}
	perBlock := n.f.blockSize / 4
	rest, span := block-direct, perBlock
	for level := range 3 {
		if rest >= span {
			rest -= span
			span *= perBlock
			continue
		}
		r := pointed(pointers, int64(direct+level), span)
		for !r.hole && r.blocks > 1 {
			b, err := n.f.block(r.start)
			if err != nil {
				return run{}, err
			}
			span = r.blocks / perBlock
			r = pointed(b, rest/span, span)
			rest %= span
		}
		if r.hole {
			r.blocks -= rest
		}
		return r, nil
	}
	return run{}, bad(n.at+40, "file block", block, "within the reach of a triple indirect block")
}

// pointed returns the run of the nth pointer, which covers the given number of blocks.
func pointed(b []byte, nth, blocks int64) run {
	p := int64(le.Uint32(b[4*nth:]))
	return run{p, blocks, p == 0}
}
