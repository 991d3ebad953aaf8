package ext4

import (
	"fmt"
	"io/fs"

	"github.com/luksimg/luksimg/contents/internal/bounded"
	"github.com/luksimg/luksimg/contents/internal/tree"
)

// maxDir is how much of a directory is read, in bytes.
const maxDir = 8 << 20

// Lookup returns the entry of a directory, or [fs.ErrNotExist]. It reads the directory
// from its start: the index of a large one looks like empty entries, by design ("Hash
// Tree Directories").
func (n *Node) Lookup(name string) (tree.Node, error) {
	if n.kind != tree.Dir {
		return nil, fs.ErrNotExist
	}
	if err := n.readable(); err != nil {
		return nil, err
	}
	ino, err := n.find(name)
	switch {
	case err != nil:
		return nil, err
	case ino == 0:
		return nil, fs.ErrNotExist
	}
	return n.f.inode(ino)
}

// find returns the inode number that an entry has, or 0.
func (n *Node) find(name string) (uint32, error) {
	if n.flags&flagInlineData != 0 {
		// The number of the parent comes first ("Inline Directories").
		head, tail, err := n.inline()
		if err != nil {
			return 0, err
		}
		if ino, err := n.scan(head[4:], name, n.at+44); ino != 0 || err != nil {
			return ino, err
		}
		return n.scan(tail, name, n.at+128)
	}
	bs := n.f.blockSize
	for block := int64(0); block < (n.size+bs-1)/bs; {
		if block*bs >= maxDir {
			return 0, fmt.Errorf("ext4: directory of %d bytes: %w", n.size, bounded.ErrLimit)
		}
		r, err := n.locate(block)
		if err != nil {
			return 0, err
		}
		if r.hole {
			block += r.blocks
			continue
		}
		b, err := n.f.block(r.start)
		if err != nil {
			return 0, err
		}
		if ino, err := n.scan(b, name, r.start*bs); ino != 0 || err != nil {
			return ino, err
		}
		block++
	}
	return 0, nil
}

// scan looks for a name in entries that fill b, which is at an offset of the disk
// ("Linear (Classic) Directories").
func (n *Node) scan(b []byte, name string, at int64) (uint32, error) {
	for i := 0; i+8 <= len(b); {
		ino, length, nameLen := le.Uint32(b[i:]), entryLength(le.Uint16(b[i+4:]), len(b)), int(b[i+6])
		if length < 8 || length%4 != 0 || length > len(b)-i || nameLen > length-8 {
			return 0, bad(at+int64(i)+4, "rec_len", length, fmt.Sprintf("a multiple of 4 from %d to %d", 8+nameLen, len(b)-i))
		}
		if ino != 0 && string(b[i+8:i+8+nameLen]) == name {
			return ino, nil
		}
		i += length
	}
	return 0, nil
}

// entryLength decodes the length of an entry in blocks of 64 KiB, in which that of the
// whole block does not fit 16 bits.
func entryLength(length uint16, block int) int {
	if block < 65536 {
		return int(length)
	}
	if length == 65535 || length == 0 {
		return block
	}
	return int(length&^3) | int(length&3)<<16
}
