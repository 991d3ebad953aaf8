package ext4

import (
	"fmt"
	"io/fs"
	"time"

	"github.com/luksimg/luksimg/contents/internal/bounded"
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
	raw   []byte // the inode, of inodeSize bytes
	at    int64  // offset of the inode in bytes
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
		return nil, bad(n.at, "i_mode", mode, "the mode of an inode in use")
	}
	n.flags = le.Uint32(n.raw[32:])
	n.size = int64(le.Uint32(n.raw[4:]))
	// In old directories, the upper half had another meaning.
	if n.kind == tree.File || n.kind == tree.Dir && f.has(incompatLargeDir) {
		n.size |= int64(le.Uint32(n.raw[108:])) << 32
	}
	if n.size < 0 {
		return nil, bad(n.at+108, "i_size_high", le.Uint32(n.raw[108:]), "less than 2^31")
	}
	return n, nil
}

// Kind returns the kind of the inode.
func (n *Node) Kind() tree.Kind { return n.kind }

// Attr returns the attributes of the inode ("Index Nodes", "Inode Timestamps").
func (n *Node) Attr() tree.Attr {
	b := n.raw
	a := tree.Attr{
		Number: uint64(n.ino), Mode: le.Uint16(b), Links: uint32(le.Uint16(b[26:])), Size: n.size,
		UID: uint32(le.Uint16(b[2:])) | uint32(le.Uint16(b[120:]))<<16,
		GID: uint32(le.Uint16(b[24:])) | uint32(le.Uint16(b[122:]))<<16,
	}
	sec, nsec := int64(int32(le.Uint32(b[16:]))), int64(0)
	if len(b) >= 140 && le.Uint16(b[128:]) >= 140-128 {
		extra := le.Uint32(b[136:])
		sec += int64(extra&3) << 32
		nsec = int64(extra >> 2)
	}
	a.ModTime = time.Unix(sec, nsec).UTC()
	return a
}

// Run returns the run of a file that starts at an offset.
func (n *Node) Run(off int64) (tree.Run, error) {
	if err := n.readable(); err != nil {
		return tree.Run{}, err
	}
	if n.kind != tree.File || off < 0 || off >= n.size {
		return tree.Run{}, fs.ErrInvalid
	}
	rest, bs := n.size-off, n.f.blockSize
	if n.flags&flagInlineData != 0 {
		b, err := n.Content(int(min(n.size, 1<<20)))
		if err == nil && off < int64(len(b)) {
			return tree.Run{Inode: b[off:], Length: int64(len(b)) - off}, nil
		}
		return tree.Run{Hole: true, Length: rest}, err
	}
	r, err := n.locate(off / bs)
	if err != nil {
		return tree.Run{}, err
	}
	skip := off % bs
	length := min(rest, min(r.blocks, farEnd)*bs-skip)
	if !r.hole && (r.start < 0 || r.start > n.f.blocks || r.blocks > n.f.blocks-r.start) {
		return tree.Run{}, fmt.Errorf("ext4: inode %d: blocks %d to %d of %d: %w", n.ino, r.start, r.start+r.blocks, n.f.blocks, bounded.ErrRange)
	}
	return tree.Run{At: r.start*bs + skip, Length: length, Hole: r.hole}, nil
}

// readable returns an error if the inode is encrypted.
func (n *Node) readable() error {
	if n.flags&flagEncrypted != 0 {
		return fmt.Errorf("ext4: inode %d is encrypted: %w", n.ino, image.ErrUnsupported)
	}
	return nil
}

// Content returns at most limit bytes of a file, or the target of a symbolic link.
func (n *Node) Content(limit int) ([]byte, error) {
	if err := n.readable(); err != nil {
		return nil, err
	}
	if n.kind != tree.File && n.kind != tree.Link {
		return nil, fs.ErrInvalid
	}
	size := int(min(n.size, int64(limit)))
	const inInode = 60 // size of i_block
	switch {
	case n.flags&flagInlineData != 0:
		head, tail, err := n.inline()
		if err != nil {
			return nil, err
		}
		b := append(append(make([]byte, 0, len(head)+len(tail)), head...), tail...)
		return b[:min(size, len(b))], nil
	case n.kind == tree.Link && n.size < inInode:
		// A fast symbolic link ("Symbolic Links").
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
			b = b[:end] // leaves zeros
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
