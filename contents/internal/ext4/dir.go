package ext4

import (
	"fmt"
	"io/fs"

	"github.com/luksimg/luksimg/contents/internal/bounded"
	"github.com/luksimg/luksimg/contents/internal/tree"
)

// Lookup returns the entry of a directory, or [fs.ErrNotExist]. It reads the directory
// sequentially, as the index of a large one looks like empty entries by design ("Hash Tree
// Directories").
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

// find returns the inode number of an entry, or 0.
func (n *Node) find(name string) (ino uint32, err error) {
	err = n.entries(func(entry []byte, number uint32) bool {
		if string(entry) == name {
			ino = number
		}
		return ino == 0
	})
	return ino, err
}

// Entries calls visit for each entry of a directory.
func (n *Node) Entries(visit func(name string, open func() (tree.Node, error)) bool) error {
	if n.kind != tree.Dir {
		return fs.ErrInvalid
	}
	if err := n.readable(); err != nil {
		return err
	}
	return n.entries(func(name []byte, ino uint32) bool {
		return visit(string(name), func() (tree.Node, error) { return n.f.inode(ino) })
	})
}

// entries calls visit for the name and the inode number of each entry, until it returns false.
func (n *Node) entries(visit func(name []byte, ino uint32) bool) error {
	if n.flags&flagInlineData != 0 {
		// The inode number of the parent comes first ("Inline Directories").
		head, tail, err := n.inline()
		if err != nil {
			return err
		}
		if more, err := n.scan(head[4:], n.at+44, visit); !more || err != nil {
			return err
		}
		_, err = n.scan(tail, n.at+128, visit)
		return err
	}
	bs := n.f.blockSize
	for block := int64(0); block < (n.size+bs-1)/bs; {
		if block*bs >= n.f.MaxDir {
			return fmt.Errorf("ext4: directory of %d bytes: %w", n.size, bounded.ErrLimit)
		}
		r, err := n.locate(block)
		if err != nil {
			return err
		}
		if r.hole {
			block += r.blocks
			continue
		}
		b, err := n.f.block(r.start)
		if err != nil {
			return err
		}
		if more, err := n.scan(b, r.start*bs, visit); !more || err != nil {
			return err
		}
		block++
	}
	return nil
}

// scan calls visit for the entries in b, which is at offset at of the disk ("Linear (Classic)
// Directories"). more is false if visit returned false.
func (n *Node) scan(b []byte, at int64, visit func(name []byte, ino uint32) bool) (more bool, err error) {
	for i := 0; i+8 <= len(b); {
		ino, length, nameLen := le.Uint32(b[i:]), entryLength(le.Uint16(b[i+4:]), len(b)), int(b[i+6])
		if length < 8 || length%4 != 0 || length > len(b)-i || nameLen > length-8 {
			return false, bad(at+int64(i)+4, "rec_len", length, fmt.Sprintf("a multiple of 4 from %d to %d", 8+nameLen, len(b)-i))
		}
		if ino != 0 && !visit(b[i+8:i+8+nameLen], ino) {
			return false, nil
		}
		i += length
	}
	return true, nil
}

// entryLength decodes the length of an entry. In blocks of 64 KiB, the length of a whole block does
// not fit in 16 bits.
func entryLength(length uint16, block int) int {
	if block < 65536 {
		return int(length)
	}
	if length == 65535 || length == 0 {
		return block
	}
	return int(length&^3) | int(length&3)<<16
}
