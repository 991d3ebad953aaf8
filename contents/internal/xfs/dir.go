package xfs

import (
	"fmt"
	"io/fs"

	"github.com/luksimg/luksimg/contents/internal/bounded"
	"github.com/luksimg/luksimg/contents/internal/tree"
)

// Lookup returns the entry of a directory, or [fs.ErrNotExist]. It reads the names sequentially and
// ignores the index, so that block, leaf, node and tree directories are read alike ("Directories").
func (n *Node) Lookup(name string) (tree.Node, error) {
	if n.kind != tree.Dir {
		return nil, fs.ErrNotExist
	}
	var ino uint64
	err := n.entries(func(entry []byte, number uint64) bool {
		if string(entry) == name {
			ino = number
		}
		return ino == 0
	})
	switch {
	case err != nil:
		return nil, err
	case ino == 0:
		return nil, fs.ErrNotExist
	}
	return n.f.inode(ino)
}

// Entries calls visit for each entry of a directory.
func (n *Node) Entries(visit func(name string, open func() (tree.Node, error)) bool) error {
	if n.kind != tree.Dir {
		return fs.ErrInvalid
	}
	return n.entries(func(name []byte, ino uint64) bool {
		return visit(string(name), func() (tree.Node, error) { return n.f.inode(ino) })
	})
}

// A visitor receives the name and the inode number of an entry and returns whether to continue.
type visitor func(name []byte, ino uint64) bool

// entries calls visit for each entry, until it returns false.
func (n *Node) entries(visit visitor) error {
	if n.format == formatLocal {
		return n.short(visit)
	}
	return n.long(visit)
}

// short visits a directory inside its inode ("Short Form Directories").
func (n *Node) short(visit visitor) error {
	b, err := n.local()
	if err != nil {
		return err
	}
	const minimum = 6 // count, i8count, parent
	if len(b) < minimum {
		return bad(n.at+56, "di_size", len(b), "at least 6 for a directory")
	}
	count, inoSize := int(b[0]), 4
	if b[1] > 0 { // numbers of more than 32 bits
		inoSize = 8
	}
	ftype := 0
	if n.f.ftype {
		ftype = 1
	}
	i := 2 + inoSize
	for range count {
		// Length, a two-byte offset, the name, its type, the inode.
		if i+3 > len(b) || i+3+int(b[i])+ftype+inoSize > len(b) {
			return bad(n.forkAt+int64(i), "short form entry", i, fmt.Sprintf("inside the %d bytes of the directory", len(b)))
		}
		start, end := i+3, i+3+int(b[i])
		at := end + ftype
		i = at + inoSize
		ino := uint64(be.Uint32(b[at:]))
		if inoSize == 8 {
			ino = be.Uint64(b[at:]) & (1<<56 - 1)
		}
		if !visit(b[start:end], ino) {
			return nil
		}
	}
	return nil
}

// long visits the blocks of a directory that hold names. They precede its index, and the size
// counts only them.
func (n *Node) long(visit visitor) error {
	f := n.f
	per := uint64(1) << f.dirBlkLog // blocks in one of the directory
	dirBlock := int64(per) << f.blockLog
	const indexAt = 32 << 30
	end := (uint64(min(n.size, indexAt)) + uint64(dirBlock) - 1) / uint64(dirBlock) * per
	b := make([]byte, dirBlock)
	for block := uint64(0); block < end; block += per {
		if block<<f.blockLog >= uint64(f.MaxDir) {
			return fmt.Errorf("xfs: directory of %d bytes: %w", n.size, bounded.ErrLimit)
		}
		first, err := n.locate(block)
		if err != nil {
			return err
		}
		if first.hole {
			// A hole covers whole blocks of the directory; round down.
			block += (max(first.blocks, per)/per - 1) * per
			continue
		}
		if err := n.fill(b, block, first); err != nil {
			return err
		}
		at, err := f.at(first.start)
		if err != nil {
			return err
		}
		if more, err := n.scan(b, at, visit); !more || err != nil {
			return err
		}
	}
	return nil
}

// fill reads a block of the directory, which need not be contiguous.
func (n *Node) fill(b []byte, block uint64, r run) error {
	for {
		want := min(uint64(len(b)), r.blocks<<n.f.blockLog)
		if r.hole {
			return bad(n.at, "directory", fmt.Sprintf("a hole at block %d", block), "whole blocks")
		}
		at, err := n.f.at(r.start)
		if err != nil {
			return err
		}
		if err := n.f.r.Read(b[:want], at); err != nil {
			return err
		}
		b, block = b[want:], block+want>>n.f.blockLog
		if len(b) == 0 {
			return nil
		}
		if r, err = n.locate(block); err != nil {
			return err
		}
	}
}

// scan calls visit for the entries in a directory block at offset at of the disk ("Block
// Directories", "Leaf Directories"). more is false if visit returned false.
func (n *Node) scan(b []byte, at int64, visit visitor) (more bool, err error) {
	i, end := 16, len(b)
	switch mark := string(b[:4]); {
	case mark == "XD2D" && !n.f.v5:
	case mark == "XDD3" && n.f.v5:
		i = 64
	case mark == "XD2B" && !n.f.v5, mark == "XDB3" && n.f.v5:
		if n.f.v5 {
			i = 64
		}
		// The index is at the end of the block, followed by its length.
		count := int64(be.Uint32(b[end-8:]))
		if room := int64(end-8-i) / 8; count > room {
			return false, bad(at+int64(end)-8, "count", count, fmt.Sprintf("at most %d", room))
		}
		end -= 8 + 8*int(count)
	default:
		return false, bad(at, "directory block magic", fmt.Sprintf("%q", mark), "the magic of a block of names")
	}
	ftype := 0
	if n.f.ftype {
		ftype = 1
	}
	const least = 16 // minimum size of an entry, rounded up; unused space can have 8 bytes
	for i < end {
		if be.Uint16(b[i:]) == 0xffff { // unused
			length := int(be.Uint16(b[i+2:]))
			if length < 8 || length%8 != 0 || length > end-i {
				return false, bad(at+int64(i)+2, "length", length, fmt.Sprintf("a multiple of 8 from 8 to %d", end-i))
			}
			i += length
			continue
		}
		// The inode, the length of the name, the name, its type, a two-byte tag.
		if end-i < least {
			return false, bad(at+int64(i), "entry", fmt.Sprintf("%d bytes", end-i), "at least 16 bytes")
		}
		nameLen := int(b[i+8])
		length := (8 + 1 + nameLen + ftype + 2 + 7) &^ 7
		if nameLen == 0 || length > end-i {
			return false, bad(at+int64(i)+8, "namelen", nameLen, "more than 0, and inside the block")
		}
		if !visit(b[i+9:i+9+nameLen], be.Uint64(b[i:])) {
			return false, nil
		}
		i += length
	}
	return true, nil
}
