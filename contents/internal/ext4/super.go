// Package ext4 reads files and directories of ext2, ext3 and ext4 filesystems. It verifies no
// checksums and does not replay the journal.
//
// References are to the sections of "ext4 Data Structures and Algorithms" in the documentation of
// Linux (filesystems/ext4).
package ext4

import (
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/luksimg/luksimg/contents/internal/bounded"
	"github.com/luksimg/luksimg/image"
)

var le = binary.LittleEndian

// Offset of the superblock, and of fields in it ("Super Block").
const (
	superAt   = 1024
	superSize = 1024

	offInodes         = 0
	offBlocks         = 4
	offFirstData      = 20
	offLogBlock       = 24
	offBlocksPerGroup = 32
	offInodesPerGroup = 40
	offMagic          = 56
	offState          = 58
	offRevision       = 76
	offInodeSize      = 88
	offCompat         = 92
	offIncompat       = 96
	offROCompat       = 100
	offDescSize       = 254
	offFirstMetaBG    = 260
	offBlocksHigh     = 336
	offBackupGroups   = 588

	magic = 0xef53
)

// Features ("Super Block": s_feature_compat, s_feature_incompat, s_feature_ro_compat).
const (
	compatSparseSuper2 = 0x200

	incompatFiletype   = 0x2
	incompatRecover    = 0x4
	incompatMetaBG     = 0x10
	incompatExtents    = 0x40
	incompat64bit      = 0x80
	incompatMMP        = 0x100
	incompatFlexBG     = 0x200
	incompatEAInode    = 0x400
	incompatCsumSeed   = 0x2000
	incompatLargeDir   = 0x4000
	incompatInlineData = 0x8000
	incompatEncrypt    = 0x10000
	incompatCasefold   = 0x20000

	// Any other incompatible feature changes how files are stored: 0x1 is compression, 0x8 a
	// journal device, 0x1000 data in directory entries.
	incompatKnown = incompatFiletype | incompatRecover | incompatMetaBG | incompatExtents | incompat64bit | incompatMMP |
		incompatFlexBG | incompatEAInode | incompatCsumSeed | incompatLargeDir | incompatInlineData | incompatEncrypt | incompatCasefold

	roSparseSuper = 0x1
)

const stateErrors = 2

// An FS is a filesystem. It is not safe for concurrent use.
type FS struct {
	// MaxDir is the maximum number of bytes to read of a directory.
	MaxDir int64

	r *bounded.Reader

	blockSize      int64 // bytes, 1024 to 65536
	blocks         int64
	inodes         uint32
	firstData      int64 // block
	blocksPerGroup int64
	inodesPerGroup uint32
	inodeSize      int64 // bytes
	descSize       int64 // bytes
	firstMetaBG    int64 // block of descriptors
	state          uint16

	compat, incompat, roCompat uint32
	backupGroups               [2]int64

	cache cache
}

// Open reads the superblock of the filesystem in r. It fails with an [*image.FormatError], with
// [image.ErrUnsupported], or with an error of r.
func Open(r *bounded.Reader) (*FS, error) {
	b := make([]byte, superSize)
	if err := r.Read(b, superAt); err != nil {
		return nil, err
	}
	f := &FS{
		MaxDir:         8 << 20,
		r:              r,
		inodes:         le.Uint32(b[offInodes:]),
		blocks:         int64(le.Uint32(b[offBlocks:])),
		firstData:      int64(le.Uint32(b[offFirstData:])),
		blocksPerGroup: int64(le.Uint32(b[offBlocksPerGroup:])),
		inodesPerGroup: le.Uint32(b[offInodesPerGroup:]),
		inodeSize:      128,
		descSize:       32,
		firstMetaBG:    int64(le.Uint32(b[offFirstMetaBG:])),
		state:          le.Uint16(b[offState:]),
	}
	if m := le.Uint16(b[offMagic:]); m != magic {
		return nil, bad(superAt+offMagic, "s_magic", m, "0xef53")
	}
	// Revision 0 has no features and a fixed inode size.
	if le.Uint32(b[offRevision:]) > 0 {
		f.inodeSize = int64(le.Uint16(b[offInodeSize:]))
		f.compat, f.incompat, f.roCompat = le.Uint32(b[offCompat:]), le.Uint32(b[offIncompat:]), le.Uint32(b[offROCompat:])
		f.backupGroups = [2]int64{int64(le.Uint32(b[offBackupGroups:])), int64(le.Uint32(b[offBackupGroups+4:]))}
	}
	if unknown := f.incompat &^ incompatKnown; unknown != 0 {
		return nil, fmt.Errorf("ext4: incompatible features %#x: %w", unknown, image.ErrUnsupported)
	}
	if f.has(incompat64bit) {
		f.blocks |= int64(le.Uint32(b[offBlocksHigh:])) << 32
		f.descSize = int64(le.Uint16(b[offDescSize:]))
	}
	return f, f.check(le.Uint32(b[offLogBlock:]))
}

// check sets the block size and checks all fields that are used in arithmetic.
func (f *FS) check(logBlock uint32) error {
	if logBlock > 6 {
		return bad(superAt+offLogBlock, "s_log_block_size", logBlock, "at most 6")
	}
	f.blockSize = 1024 << logBlock
	switch {
	case f.blocks < 1 || f.blocks > 1<<62/f.blockSize:
		return bad(superAt+offBlocks, "s_blocks_count", uint64(f.blocks), "at least 1, and less than 2^62 bytes in all")
	case f.firstData > 1 || f.firstData >= f.blocks:
		return bad(superAt+offFirstData, "s_first_data_block", f.firstData, "0 or 1, and less than the number of blocks")
	case f.blocksPerGroup < 8:
		return bad(superAt+offBlocksPerGroup, "s_blocks_per_group", f.blocksPerGroup, "at least 8")
	case f.inodesPerGroup < 1 || int64(f.inodesPerGroup) > 8*f.blockSize:
		return bad(superAt+offInodesPerGroup, "s_inodes_per_group", f.inodesPerGroup, "from 1 to the bits of a block")
	case f.inodeSize < 128 || f.inodeSize > f.blockSize || f.inodeSize&(f.inodeSize-1) != 0:
		return bad(superAt+offInodeSize, "s_inode_size", f.inodeSize, "a power of two, at least 128 and at most a block")
	case f.descSize < 32 || f.descSize > f.blockSize || f.descSize&(f.descSize-1) != 0 || f.has(incompat64bit) && f.descSize < 64:
		return bad(superAt+offDescSize, "s_desc_size", f.descSize, "a power of two, at least 64 and at most a block")
	}
	return nil
}

func (f *FS) has(incompat uint32) bool { return f.incompat&incompat != 0 }

// Warnings describes oddities of the filesystem that do not prevent reading.
func (f *FS) Warnings() []string {
	var w []string
	if f.has(incompatRecover) {
		w = append(w, "the filesystem was not unmounted: its journal, which was not read, can contain changes")
	}
	if f.state&stateErrors != 0 {
		w = append(w, "the filesystem is marked as having errors")
	}
	if size := f.blocks * f.blockSize; size > f.r.Size() {
		w = append(w, fmt.Sprintf("the filesystem has %d bytes, but the disk or partition has only %d", size, f.r.Size()))
	}
	return w
}

// groups returns the number of block groups.
func (f *FS) groups() int64 {
	return (f.blocks - f.firstData + f.blocksPerGroup - 1) / f.blocksPerGroup
}

// inodeTable returns the first block of the inode table of a group ("Block Group Descriptors").
func (f *FS) inodeTable(group int64) (int64, error) {
	perBlock := f.blockSize / f.descSize
	nth := group / perBlock
	desc := make([]byte, f.descSize)
	at := f.descBlock(nth)*f.blockSize + group%perBlock*f.descSize
	if err := f.r.Read(desc, at); err != nil {
		return 0, err
	}
	table := int64(le.Uint32(desc[8:]))
	if f.descSize >= 64 {
		table |= int64(le.Uint32(desc[40:])) << 32
	}
	if table >= f.blocks || table < 0 {
		return 0, bad(at+8, "bg_inode_table", uint64(table), fmt.Sprintf("less than %d", f.blocks))
	}
	return table, nil
}

// descBlock returns the nth block of group descriptors. These blocks follow the superblock, or,
// with meta_bg, are in the groups that they describe ("Meta Block Groups").
func (f *FS) descBlock(nth int64) int64 {
	if !f.has(incompatMetaBG) || nth < f.firstMetaBG {
		return superAt/f.blockSize + 1 + nth
	}
	group := nth * (f.blockSize / f.descSize)
	at := f.firstData + group*f.blocksPerGroup
	if f.hasSuper(group) {
		at++
	}
	// With blocks of 1 KiB in clusters, the superblock is in block 1, although the first group
	// starts at 0.
	if f.blockSize == 1024 && nth == 0 && f.firstData == 0 {
		at++
	}
	return at
}

// hasSuper reports whether a group starts with a copy of the superblock.
func (f *FS) hasSuper(group int64) bool {
	switch {
	case group == 0:
		return true
	case f.compat&compatSparseSuper2 != 0:
		return slices.Contains(f.backupGroups[:], group)
	case f.roCompat&roSparseSuper == 0 || group == 1:
		return true
	}
	for _, base := range []int64{3, 5, 7} {
		n := base
		for n < group {
			n *= base
		}
		if n == group {
			return true
		}
	}
	return false
}

// cache holds the most recently read blocks. The mapping of a directory is looked up for each of
// its blocks.
type cache struct {
	blocks [8][]byte
	number [8]int64
	next   int
}

// block returns a block, which must not be modified.
func (f *FS) block(n int64) ([]byte, error) {
	if n < 0 || n >= f.blocks {
		return nil, fmt.Errorf("ext4: block %d of %d: %w", uint64(n), f.blocks, bounded.ErrRange)
	}
	c := &f.cache
	for i, b := range c.blocks {
		if b != nil && c.number[i] == n {
			return b, nil
		}
	}
	b := make([]byte, f.blockSize)
	if err := f.r.Read(b, n*f.blockSize); err != nil {
		return nil, err
	}
	c.blocks[c.next], c.number[c.next] = b, n
	c.next = (c.next + 1) % len(c.blocks)
	return b, nil
}

func bad(off int64, field string, value any, want string) error {
	return &image.FormatError{Format: "ext4", Offset: off, Field: field, Value: value, Want: want}
}
