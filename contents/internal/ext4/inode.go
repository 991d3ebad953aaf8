package ext4

import (
	"fmt"
	"io/fs"

	"github.com/luksimg/luksimg/contents/internal/tree"
	"github.com/luksimg/luksimg/image"
)

// Flags of an inode ("Index Nodes": i_flags).
const (
	flagEncrypted  = 0x800
	flagExtents    = 0x80000
	flagInlineData = 0x10000000
)

const rootInode = 2

// A Node is an inode.
type Node struct {
	f     *FS
	raw   []byte // of inodeSize
	at    int64  // where it is, in bytes
	ino   uint32
	kind  tree.Kind
	flags uint32
	size  int64 // bytes
}

// Root returns the root directory.
func (f *FS) Root() (*Node, error) { return f.inode(rootInode) }

func (f *FS) inode(ino uint32) (*Node, error) {
	if ino < 1 || ino > f.inodes {
		return nil, fmt.Errorf("ext4: inode %d of %d: %w", ino, f.inodes, image.ErrFormat)
	}
	group, nth := int64((ino-1)/f.inodesPerGroup), int64((ino-1)%f.inodesPerGroup)
	if group >= f.groups() {
		return nil, fmt.Errorf("ext4: inode %d in group %d of %d: %w", ino, group, f.groups(), image.ErrFormat)
	}
	table, err := f.inodeTable(group)
	if err != nil {
		return nil, err
	}
	n := &Node{f: f, ino: ino, raw: make([]byte, f.inodeSize), at: table*f.blockSize + nth*f.inodeSize}
	if err := f.r.Read(n.raw, n.at); err != nil {
		return nil, err
	}
	switch mode := le.Uint16(n.raw); mode & 0xf000 {
	case 0x4000:
		n.kind = tree.Dir
	case 0x8000:
		n.kind = tree.File
	case 0xa000:
		n.kind = tree.Link
	case 0:
		return nil, bad(n.at, "i_mode", mode, "that of an inode in use")
	}
	n.flags = le.Uint32(n.raw[32:])
	n.size = int64(le.Uint32(n.raw[4:]))
	// The upper half was something else in directories of old.
	if n.kind == tree.File || n.kind == tree.Dir && f.has(incompatLargeDir) {
		n.size |= int64(le.Uint32(n.raw[108:])) << 32
	}
	if n.size < 0 {
		return nil, bad(n.at+108, "i_size_high", le.Uint32(n.raw[108:]), "less than 2^31")
	}
	return n, nil
}

// Kind returns what the inode is.
func (n *Node) Kind() tree.Kind { return n.kind }

// readable fails for what is there but cannot be understood without a key.
func (n *Node) readable() error {
	if n.flags&flagEncrypted != 0 {
		return fmt.Errorf("ext4: inode %d is encrypted: %w", n.ino, image.ErrUnsupported)
	}
	return nil
}

// Content returns what a file holds, at most limit bytes of it, or the target of a
// symbolic link.
func (n *Node) Content(limit int) ([]byte, error) {
	if err := n.readable(); err != nil {
		return nil, err
	}
	if n.kind != tree.File && n.kind != tree.Link {
		return nil, fs.ErrInvalid
	}
	size := int(min(n.size, int64(limit)))
	const inInode = 60 // of i_block
	switch {
	case n.flags&flagInlineData != 0:
		head, tail, err := n.inline()
		if err != nil {
			return nil, err
		}
		b := append(append(make([]byte, 0, len(head)+len(tail)), head...), tail...)
		return b[:min(size, len(b))], nil
	case n.kind == tree.Link && n.size < inInode:
		// A fast link ("Symbolic Links").
		return n.raw[40 : 40+size], nil
	}
	b := make([]byte, 0, size)
	for len(b) < size {
		run, err := n.locate(int64(len(b)) / n.f.blockSize)
		if err != nil {
			return nil, err
		}
		if run.hole {
			end := min(int64(size), int64(len(b))+min(run.blocks, 1<<32)*n.f.blockSize)
			b = b[:end] // of zeros
			continue
		}
		block, err := n.f.block(run.start)
		if err != nil {
			return nil, err
		}
		b = append(b, block[:min(len(block), size-len(b))]...)
	}
	return b, nil
}
