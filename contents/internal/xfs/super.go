// Package xfs reads files and directories of XFS filesystems of versions 4 and 5. It verifies no
// checksums and does not replay the log.
//
// References are to the chapters of "XFS Algorithms & Data Structures", 3rd edition.
package xfs

import (
	"encoding/binary"
	"fmt"

	"github.com/luksimg/luksimg/contents/internal/bounded"
	"github.com/luksimg/luksimg/image"
)

var be = binary.BigEndian

// Offsets of superblock fields ("Superblocks"): sb_ and the name.
const (
	offBlockSize   = 4
	offBlocks      = 8
	offLogStart    = 48
	offRoot        = 56
	offAGBlocks    = 84
	offAGCount     = 88
	offLogBlocks   = 96
	offVersion     = 100
	offInodeSize   = 104
	offInodePerBlk = 106
	offBlockLog    = 120
	offInodeLog    = 122
	offInodePerLog = 123
	offAGBlockLog  = 124
	offInProgress  = 126
	offDirBlockLog = 192
	offFeatures2   = 200
	offIncompat    = 216

	superSize = 264
	superMark = "XFSB"
)

// Features.
const (
	versionDir2     = 0x2000 // version 4: directories of version 2
	versionMore     = 0x8000 // features2 is valid
	features2Ftype  = 0x200
	incompatFtype   = 0x1
	incompatRepair  = 0x10
	incompatNrext64 = 0x20

	// ftype, sparse inodes, a UUID of metadata, timestamps past 2038, repair needed,
	// large extent counts, exchanged ranges, parent pointers, metadata directories.
	incompatKnown = 0x1ff
)

// An FS is a filesystem. It is not safe for concurrent use.
type FS struct {
	// MaxDir is the maximum number of bytes to read of a directory.
	MaxDir int64

	r *bounded.Reader

	v5         bool
	ftype      bool   // directory entries hold the kind
	blockLog   uint   // log2 of the block size in bytes
	inodeLog   uint   // log2 of the inode size in bytes
	inoPerLog  uint   // log2 of the inodes in a block
	agBlockLog uint   // log2 of agBlocks, rounded up
	agBlocks   uint64 // blocks in an allocation group, except for the last
	agCount    uint64
	blocks     uint64
	dirBlkLog  uint // log2 of the blocks in a directory block
	root       uint64
	logStart   uint64 // first block of the log, 0 for an external log
	logBlocks  uint64
	incompat   uint32
}

// Open reads the superblock of the filesystem in r. It fails with an [*image.FormatError], with
// [image.ErrUnsupported], or with an error of r.
func Open(r *bounded.Reader) (*FS, error) {
	b := make([]byte, superSize)
	if err := r.Read(b, 0); err != nil {
		return nil, err
	}
	if string(b[:4]) != superMark {
		return nil, bad(0, "sb_magicnum", fmt.Sprintf("%q", b[:4]), superMark)
	}
	f := &FS{
		MaxDir:     8 << 20,
		r:          r,
		blockLog:   uint(b[offBlockLog]),
		inodeLog:   uint(b[offInodeLog]),
		inoPerLog:  uint(b[offInodePerLog]),
		agBlockLog: uint(b[offAGBlockLog]),
		agBlocks:   uint64(be.Uint32(b[offAGBlocks:])),
		agCount:    uint64(be.Uint32(b[offAGCount:])),
		blocks:     be.Uint64(b[offBlocks:]),
		dirBlkLog:  uint(b[offDirBlockLog]),
		root:       be.Uint64(b[offRoot:]),
		logStart:   be.Uint64(b[offLogStart:]),
		logBlocks:  uint64(be.Uint32(b[offLogBlocks:])),
	}
	switch version := be.Uint16(b[offVersion:]); version & 0xf {
	case 4:
		if version&versionDir2 == 0 {
			return nil, fmt.Errorf("xfs: directories of version 1: %w", image.ErrUnsupported)
		}
		f.ftype = version&versionMore != 0 && be.Uint32(b[offFeatures2:])&features2Ftype != 0
	case 5:
		f.v5 = true
		f.incompat = be.Uint32(b[offIncompat:])
		f.ftype = f.incompat&incompatFtype != 0
		if unknown := f.incompat &^ incompatKnown; unknown != 0 {
			return nil, fmt.Errorf("xfs: incompatible features %#x: %w", unknown, image.ErrUnsupported)
		}
	default:
		return nil, fmt.Errorf("xfs: version %d: %w", version&0xf, image.ErrUnsupported)
	}
	return f, f.check(b)
}

// check checks all fields that are used in arithmetic.
func (f *FS) check(b []byte) error {
	blockSize, inodeSize := be.Uint32(b[offBlockSize:]), be.Uint16(b[offInodeSize:])
	switch {
	case b[offInProgress] != 0:
		return bad(offInProgress, "sb_inprogress", b[offInProgress], "0: mkfs did not finish")
	case f.blockLog < 9 || f.blockLog > 16:
		return bad(offBlockLog, "sb_blocklog", f.blockLog, "from 9 to 16")
	case blockSize != 1<<f.blockLog:
		return bad(offBlockSize, "sb_blocksize", blockSize, fmt.Sprint(1<<f.blockLog))
	case f.inodeLog < 8 || f.inodeLog > 11 || f.inodeLog > f.blockLog:
		return bad(offInodeLog, "sb_inodelog", f.inodeLog, "from 8 to 11, and no more than sb_blocklog")
	case inodeSize != 1<<f.inodeLog:
		return bad(offInodeSize, "sb_inodesize", inodeSize, fmt.Sprint(1<<f.inodeLog))
	case f.inoPerLog != f.blockLog-f.inodeLog:
		return bad(offInodePerLog, "sb_inopblog", f.inoPerLog, fmt.Sprint(f.blockLog-f.inodeLog))
	case f.agBlockLog > 31 || f.agBlocks < 1 || f.agBlocks > 1<<f.agBlockLog:
		return bad(offAGBlocks, "sb_agblocks", f.agBlocks, "from 1 to 2^sb_agblklog, at most 2^31")
	case f.agCount < 1:
		return bad(offAGCount, "sb_agcount", f.agCount, "at least 1")
	case f.blocks < 1 || f.blocks > f.agCount*f.agBlocks || f.blocks > 1<<62>>f.blockLog:
		return bad(offBlocks, "sb_dblocks", f.blocks, "from 1 to the blocks of all allocation groups")
	case f.blockLog+f.dirBlkLog > 16:
		return bad(offDirBlockLog, "sb_dirblklog", f.dirBlkLog, fmt.Sprintf("at most %d", 16-f.blockLog))
	}
	return nil
}

func (f *FS) blockSize() int64 { return 1 << f.blockLog }

// at returns the offset in bytes of a block. The upper part of its number is the allocation group.
func (f *FS) at(block uint64) (int64, error) {
	ag, in := block>>f.agBlockLog, block&(1<<f.agBlockLog-1)
	if ag >= f.agCount || in >= f.agBlocks || ag*f.agBlocks+in >= f.blocks {
		return 0, fmt.Errorf("xfs: block %#x of %d: %w", block, f.blocks, bounded.ErrRange)
	}
	return int64(ag*f.agBlocks+in) << f.blockLog, nil
}

// read returns n bytes from the start of a block. They can extend into the blocks that follow it.
func (f *FS) read(block uint64, n int64) (b []byte, at int64, err error) {
	if at, err = f.at(block); err != nil {
		return nil, 0, err
	}
	b = make([]byte, n)
	return b, at, f.r.Read(b, at)
}

// Warnings describes oddities of the filesystem that do not prevent reading.
func (f *FS) Warnings() []string {
	var w []string
	if f.dirty() {
		w = append(w, "the filesystem was not unmounted: its log, which was not read, can contain changes")
	}
	if f.incompat&incompatRepair != 0 {
		w = append(w, "the filesystem is marked as needing repair")
	}
	if size := int64(f.blocks << f.blockLog); size > f.r.Size() {
		w = append(w, fmt.Sprintf("the filesystem has %d bytes, but the disk or partition has only %d", size, f.r.Size()))
	}
	return w
}

func bad(off int64, field string, value any, want string) error {
	return &image.FormatError{Format: "xfs", Offset: off, Field: field, Value: value, Want: want}
}
