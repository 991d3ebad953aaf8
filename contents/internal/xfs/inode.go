package xfs

import (
	"fmt"
	"io/fs"
	"time"

	"github.com/luksimg/luksimg/contents/internal/bounded"
	"github.com/luksimg/luksimg/contents/internal/tree"
	"github.com/luksimg/luksimg/image"
)

const (
	inodeMagic    = 0x494e // "IN"
	flagRealtime  = 0x1
	flag2Nrext64  = 0x10
	maxLinkTarget = 1024
)

// Format of the content of an inode ("Data Fork": di_format).
const (
	formatLocal   = 1
	formatExtents = 2
	formatBtree   = 3
)

// A Node is an inode.
type Node struct {
	f       *FS
	ino     uint64
	at      int64 // offset of the inode in bytes
	raw     []byte
	kind    tree.Kind
	format  byte
	size    int64
	extents uint64 // number of records, for formatExtents
	fork    []byte // the data fork
	forkAt  int64  // offset of the data fork in bytes
}

// Root returns the root directory.
func (f *FS) Root() (*Node, error) { return f.inode(f.root) }

// inode reads an inode. Its number encodes its place: allocation group, block and index ("Inode
// Numbers", "On-disk Inode").
func (f *FS) inode(ino uint64) (*Node, error) {
	block, nth := ino>>f.inoPerLog, ino&(1<<f.inoPerLog-1)
	at, err := f.at(block)
	if err != nil {
		return nil, fmt.Errorf("xfs: inode %d: %w", ino, err)
	}
	at += int64(nth) << f.inodeLog
	raw := make([]byte, 1<<f.inodeLog)
	if err := f.r.Read(raw, at); err != nil {
		return nil, err
	}
	if m := be.Uint16(raw); m != inodeMagic {
		return nil, bad(at, "di_magic", m, "0x494e")
	}
	n := &Node{f: f, ino: ino, at: at, raw: raw, format: raw[5], size: int64(be.Uint64(raw[56:])), extents: uint64(be.Uint32(raw[76:]))}
	switch mode := be.Uint16(raw[2:]); mode & 0xf000 {
	case 0x4000:
		n.kind = tree.Dir
	case 0x8000:
		n.kind = tree.File
	case 0xa000:
		n.kind = tree.Link
	case 0:
		return nil, bad(at+2, "di_mode", mode, "the mode of an inode in use")
	}
	if n.size < 0 {
		return nil, bad(at+56, "di_size", uint64(n.size), "less than 2^63")
	}
	core := 100
	if version := raw[4]; version >= 3 {
		core = 176
		if own := be.Uint64(raw[152:]); own != ino {
			return nil, bad(at+152, "di_ino", own, fmt.Sprint(ino))
		}
		if be.Uint64(raw[120:])&flag2Nrext64 != 0 {
			n.extents = be.Uint64(raw[24:])
		}
	}
	n.forkAt, n.fork = at+int64(core), raw[core:]
	if off := int(raw[82]) * 8; off > len(n.fork) {
		return nil, bad(at+82, "di_forkoff", raw[82], fmt.Sprintf("at most %d", len(n.fork)/8))
	} else if off > 0 {
		n.fork = n.fork[:off]
	}
	if n.kind == tree.File && be.Uint16(raw[90:])&flagRealtime != 0 {
		return nil, fmt.Errorf("xfs: inode %d is on a realtime device: %w", ino, image.ErrUnsupported)
	}
	return n, nil
}

// Kind returns the kind of the inode.
func (n *Node) Kind() tree.Kind { return n.kind }

// Attr returns the attributes of the inode ("On-disk Inode", "Inode Timestamps").
func (n *Node) Attr() tree.Attr {
	const bigTime = 0x8
	b := n.raw
	a := tree.Attr{Number: n.ino, Mode: be.Uint16(b[2:]), UID: be.Uint32(b[8:]), GID: be.Uint32(b[12:]), Links: be.Uint32(b[16:]), Size: n.size}
	if b[4] == 1 {
		a.Links = uint32(be.Uint16(b[6:]))
	}
	a.ModTime = time.Unix(int64(int32(be.Uint32(b[40:]))), int64(be.Uint32(b[44:]))).UTC()
	if b[4] >= 3 && be.Uint64(b[120:])&bigTime != 0 {
		// Nanoseconds since the minimum 32-bit time.
		t := be.Uint64(b[40:])
		a.ModTime = time.Unix(int64(t/1e9)-1<<31, int64(t%1e9)).UTC()
	}
	return a
}

// Run returns the run of a file that starts at an offset.
func (n *Node) Run(off int64) (tree.Run, error) {
	if n.kind != tree.File || off < 0 || off >= n.size {
		return tree.Run{}, fs.ErrInvalid
	}
	rest, log := n.size-off, n.f.blockLog
	if n.format == formatLocal {
		b, err := n.local()
		if err != nil {
			return tree.Run{}, err
		}
		return tree.Run{Inode: b[off:], Length: rest}, nil
	}
	r, err := n.locate(uint64(off) >> log)
	if err != nil {
		return tree.Run{}, err
	}
	skip := off & (n.f.blockSize() - 1)
	if blocks := uint64(skip+rest)>>log + 1; r.blocks > blocks {
		r.blocks = blocks
	}
	length := min(rest, int64(r.blocks<<log)-skip)
	if r.hole {
		return tree.Run{Length: length, Hole: true}, nil
	}
	at, err := n.f.at(r.start)
	if err != nil {
		return tree.Run{}, err
	}
	// An extent does not cross allocation groups.
	if last, err := n.f.at(r.start + uint64(skip+length-1)>>log); err != nil || last < at {
		return tree.Run{}, fmt.Errorf("xfs: inode %d: %d bytes at block %#x: %w", n.ino, length, r.start, bounded.ErrRange)
	}
	return tree.Run{At: at + skip, Length: length}, nil
}

// local returns the content that is stored in the inode itself.
func (n *Node) local() ([]byte, error) {
	if n.size > int64(len(n.fork)) {
		return nil, bad(n.at+56, "di_size", n.size, fmt.Sprintf("at most %d, the space in the inode", len(n.fork)))
	}
	return n.fork[:n.size], nil
}

// Content returns at most limit bytes of a file, or the target of a symbolic link.
func (n *Node) Content(limit int) ([]byte, error) {
	switch {
	case n.kind == tree.Link && n.size > maxLinkTarget:
		return nil, bad(n.at+56, "di_size", n.size, fmt.Sprintf("at most %d for a symbolic link", maxLinkTarget))
	case n.kind != tree.Link && n.kind != tree.File:
		return nil, fs.ErrInvalid
	case n.format == formatLocal:
		b, err := n.local()
		return b[:min(limit, len(b))], err
	}
	header := 0
	if n.kind == tree.Link && n.f.v5 {
		header = linkHeader
	}
	size := int(min(n.size, int64(limit)))
	out := make([]byte, 0, size)
	for block := uint64(0); len(out) < size; {
		run, err := n.locate(block)
		if err != nil {
			return nil, err
		}
		if run.hole {
			if header > 0 {
				return nil, bad(n.at, "symbolic link", "a hole", "a target without holes")
			}
			// The run can be longer than any file; limit it to the size.
			end := min(uint64(size), (block+min(run.blocks, 1<<32))<<n.f.blockLog)
			out, block = out[:end], block+min(run.blocks, 1<<32)
			continue
		}
		b, at, err := n.f.read(run.start, n.f.blockSize())
		if err != nil {
			return nil, err
		}
		if header > 0 && string(b[:4]) != "XSLM" {
			return nil, bad(at, "sl_magic", fmt.Sprintf("%q", b[:4]), "XSLM")
		}
		b = b[header:]
		out = append(out, b[:min(len(b), size-len(out))]...)
		block++
	}
	return out, nil
}

// linkHeader is the length of the header in front of each part of a link target in version 5
// ("Symbolic Links", "Remote Symbolic Links").
const linkHeader = 56
