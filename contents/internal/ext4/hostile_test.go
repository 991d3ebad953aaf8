package ext4

import (
	"bytes"
	"context"
	"io/fs"
	"strings"
	"testing"

	"github.com/luksimg/luksimg/contents/internal/bounded"
	"github.com/luksimg/luksimg/contents/internal/fstest"
	"github.com/luksimg/luksimg/contents/internal/tree"
	"github.com/luksimg/luksimg/image"
	"github.com/luksimg/luksimg/internal/golden"
)

func goldenImage(name string) []byte {
	return golden.Read("../../../testdata/contents/" + name + ".img.gz")
}

// root opens a filesystem and returns its root.
func root(r *bounded.Reader) (tree.Node, error) {
	f, err := Open(r)
	if err != nil {
		return nil, err
	}
	f.Warnings()
	n, err := f.Root()
	if err != nil {
		return nil, err
	}
	return n, nil
}

// A disk is a golden image that tests damage.
type disk struct {
	t *testing.T
	b []byte
}

func (d *disk) root() *Node {
	d.t.Helper()
	f, err := Open(bounded.New(context.Background(), bytes.NewReader(d.b), int64(len(d.b)), 1<<40, 1<<30))
	if err != nil {
		d.t.Fatal(err)
	}
	root, err := f.Root()
	if err != nil {
		d.t.Fatal(err)
	}
	return root
}

// node returns the node at a path. It does not follow a link in the last name.
func (d *disk) node(path string) *Node {
	d.t.Helper()
	if path == "/" {
		return d.root()
	}
	i := strings.LastIndex(path, "/")
	dir, err := tree.Open(d.root(), path[:i])
	if err != nil {
		d.t.Fatal(err)
	}
	n, err := dir.Lookup(path[i+1:])
	if err != nil {
		d.t.Fatal(err)
	}
	return n.(*Node)
}

// block returns the bytes of a block of the file at a path.
func (d *disk) block(path string, nth int64) []byte {
	d.t.Helper()
	n := d.node(path)
	r, err := n.locate(nth)
	if err != nil || r.hole {
		d.t.Fatalf("block %d of %s: %+v, %v", nth, path, r, err)
	}
	return d.b[r.start*n.f.blockSize:][:n.f.blockSize]
}

func (d *disk) inode(path string) []byte { return d.b[d.node(path).at:] }

// entry returns the bytes of a directory entry.
func (d *disk) entry(dir, name string) []byte {
	d.t.Helper()
	block := d.block(dir, 0)
	i := bytes.Index(block, []byte(name))
	if i < 8 {
		d.t.Fatalf("no %s in the first block of %s", name, dir)
	}
	return block[i-8:]
}

func super16(off int, v uint16) func(*disk) { return func(d *disk) { le.PutUint16(d.b[1024+off:], v) } }
func super32(off int, v uint32) func(*disk) { return func(d *disk) { le.PutUint32(d.b[1024+off:], v) } }

// inode16 and inode32 change a field of the inode at a path.
func inode16(path string, off int, v uint16) func(*disk) {
	return func(d *disk) { le.PutUint16(d.inode(path)[off:], v) }
}
func inode32(path string, off int, v uint32) func(*disk) {
	return func(d *disk) { le.PutUint32(d.inode(path)[off:], v) }
}

// hostile lists edits of images, the path that is read afterwards, and the result: an error with a text or of
// a kind, or the content.
var hostile = []struct {
	name, image string
	edit        func(*disk)
	path        string
	text        string
	kind        error
}{
	{"magic", "comb", super16(offMagic, 0), "/", "s_magic", image.ErrFormat},
	{"block size 128 KiB", "comb", super32(offLogBlock, 7), "/", "s_log_block_size", image.ErrFormat},
	{"block size 2^32", "comb", super32(offLogBlock, 1<<32-1), "/", "s_log_block_size", image.ErrFormat},
	{"no blocks", "comb", super32(offBlocks, 0), "/", "s_blocks_count", image.ErrFormat},
	{"2^64 blocks", "comb", super32(offBlocksHigh, 1<<32-1), "/", "s_blocks_count", image.ErrFormat},
	{"first data block", "comb", super32(offFirstData, 2), "/", "s_first_data_block", image.ErrFormat},
	{"first data block past the end", "ext2", super32(offBlocks, 1), "/", "s_first_data_block", image.ErrFormat},
	{"no blocks in a group", "comb", super32(offBlocksPerGroup, 0), "/", "s_blocks_per_group", image.ErrFormat},
	{"no inodes in a group", "comb", super32(offInodesPerGroup, 0), "/", "s_inodes_per_group", image.ErrFormat},
	{"2^32 inodes in a group", "comb", super32(offInodesPerGroup, 1<<32-1), "/", "s_inodes_per_group", image.ErrFormat},
	{"inodes of 0 bytes", "comb", super16(offInodeSize, 0), "/", "s_inode_size", image.ErrFormat},
	{"inodes of 200 bytes", "comb", super16(offInodeSize, 200), "/", "s_inode_size", image.ErrFormat},
	{"inodes larger than a block", "comb", super16(offInodeSize, 2048), "/", "s_inode_size", image.ErrFormat},
	{"descriptors of 0 bytes", "comb", super16(offDescSize, 0), "/", "s_desc_size", image.ErrFormat},
	{"descriptors of 100 bytes", "comb", super16(offDescSize, 100), "/", "s_desc_size", image.ErrFormat},
	{"descriptors larger than a block", "comb", super16(offDescSize, 32768), "/", "s_desc_size", image.ErrFormat},
	{"unknown features", "comb", super32(offIncompat, 1<<31), "/", "incompatible features", image.ErrUnsupported},
	{"compression", "ext2", super32(offIncompat, 0x3), "/", "incompatible features", image.ErrUnsupported},
	{"one inode", "comb", super32(offInodes, 1), "/", "inode 2 of 1", image.ErrFormat},
	{"short", "comb", func(d *disk) { d.b = d.b[:1500] }, "/", "", bounded.ErrRange},
	{"cut behind the superblock", "comb", func(d *disk) { d.b = d.b[:2048] }, "/", "", bounded.ErrRange},
	{"small groups", "comb", super32(offBlocksPerGroup, 8), "/etc/fstab", "", fstest.ErrAny},
	{"few inodes in a group", "comb", super32(offInodesPerGroup, 1), "/etc/fstab", "", fstest.ErrAny},
	{"all groups are meta", "comb", super32(offFirstMetaBG, 0), "/", "", nil},
	{"no group is meta", "comb", super32(offFirstMetaBG, 1<<32-1), "/etc/fstab", "", fstest.ErrAny},

	{"inode table past the end", "ext2", func(d *disk) { le.PutUint32(d.b[2048+8:], 1<<32-1) }, "/", "bg_inode_table", image.ErrFormat},
	{"inode table past the end, 64 bits", "ext4", func(d *disk) { le.PutUint32(d.b[2048+40:], 1<<31) }, "/", "bg_inode_table", image.ErrFormat},
	{"inode table behind the disk", "ext2", func(d *disk) {
		le.PutUint32(d.b[1024+offBlocks:], 1<<32-1)
		le.PutUint32(d.b[2048+8:], 1<<32-2)
	}, "/", "", bounded.ErrRange},
	{"inode table nowhere", "ext2", func(d *disk) { le.PutUint32(d.b[2048+8:], 0) }, "/", "i_mode", image.ErrFormat},

	{"root without a mode", "comb", inode16("/", 0, 0), "/", "i_mode", image.ErrFormat},
	{"root is a file", "comb", inode16("/", 0, 0x8000), "/etc", "", fs.ErrNotExist},
	{"root is a link", "comb", inode16("/", 0, 0xa000), "/etc", "", fs.ErrNotExist},
	{"root is empty", "comb", inode32("/", 4, 0), "/etc", "", fs.ErrNotExist},
	{"root of 4 GiB", "comb", inode32("/", 4, 1<<32-1), "/nothing", "", fs.ErrNotExist},
	{"root without extents", "comb", inode32("/", 32, 0), "/etc", "", fstest.ErrAny},
	{"root with inline data", "comb", inode32("/", 32, flagInlineData), "/etc", "rec_len", image.ErrFormat},
	{"encrypted", "comb", inode32("/etc", 32, flagEncrypted|flagExtents), "/etc/fstab", "encrypted", image.ErrUnsupported},
	{"encrypted file", "comb", inode32("/etc/fstab", 32, flagEncrypted|flagExtents), "/etc/fstab", "encrypted", image.ErrUnsupported},

	{"extent magic", "comb", inode16("/", 40, 0), "/etc", "eh_magic", image.ErrFormat},
	{"five extents in an inode", "comb", inode16("/", 42, 5), "/etc", "eh_entries", image.ErrFormat},
	{"65535 extents in an inode", "comb", inode16("/", 42, 65535), "/etc", "eh_entries", image.ErrFormat},
	{"depth 6", "comb", inode16("/", 46, 6), "/etc", "eh_depth", image.ErrFormat},
	{"depth 65535", "comb", inode16("/", 46, 65535), "/etc", "eh_depth", image.ErrFormat},
	{"an index where extents are", "comb", inode16("/", 46, 1), "/etc", "", fstest.ErrAny},
	{"extent past the end", "comb", inode32("/", 60, 1<<30), "/etc", "", bounded.ErrRange},
	{"extent far past the end", "comb", inode16("/", 58, 65535), "/etc", "", bounded.ErrRange},
	{"extent of no blocks", "comb", inode16("/", 56, 0), "/etc", "", fs.ErrNotExist},
	{"extent that is not written", "comb", inode16("/", 56, 32769), "/etc", "", fs.ErrNotExist},
	{"extent in the superblock", "comb", inode32("/", 60, 1), "/etc", "", fstest.ErrAny},
	{"index past the end", "comb", inode32("/files/comb", 56, 1<<30), "/files/comb", "", bounded.ErrRange},
	{"index to a block of data", "comb", func(d *disk) {
		le.PutUint32(d.inode("/files/comb")[56:], uint32(d.node("/files/large").mustLocate(d.t)))
	}, "/files/comb", "eh_magic", image.ErrFormat},
	{"tree with a loop", "comb", func(d *disk) {
		// The leaf becomes an index that points to itself.
		leaf := le.Uint32(d.inode("/files/comb")[56:])
		b := d.b[leaf*1024:]
		le.PutUint16(b[6:], 1)
		for i := range 84 {
			le.PutUint32(b[12+12*i+4:], leaf)
			le.PutUint32(b[12+12*i+8:], 0)
		}
	}, "/files/comb", "eh_depth", image.ErrFormat},
	{"deep tree with a loop", "comb", func(d *disk) {
		leaf := le.Uint32(d.inode("/files/comb")[56:])
		le.PutUint16(d.inode("/files/comb")[46:], 5)
		le.PutUint16(d.b[leaf*1024+6:], 4)
		for i := range 84 {
			le.PutUint32(d.b[leaf*1024+12+12*uint32(i)+4:], leaf)
			le.PutUint32(d.b[leaf*1024+12+12*uint32(i)+8:], 0)
		}
	}, "/files/comb", "eh_depth", image.ErrFormat},
	{"leaf with too many extents", "comb", func(d *disk) {
		leaf := le.Uint32(d.inode("/files/comb")[56:])
		le.PutUint16(d.b[leaf*1024+2:], 85)
	}, "/files/comb", "eh_entries", image.ErrFormat},
	{"leaf without extents", "comb", func(d *disk) {
		leaf := le.Uint32(d.inode("/files/comb")[56:])
		le.PutUint16(d.b[leaf*1024+2:], 0)
	}, "/files/comb", "", nil},

	{"entry of no bytes", "comb", func(d *disk) { le.PutUint16(d.entry("/", "etc")[4:], 0) }, "/usr/bin", "rec_len", image.ErrFormat},
	{"entry of 4 bytes", "comb", func(d *disk) { le.PutUint16(d.entry("/", "etc")[4:], 4) }, "/usr/bin", "rec_len", image.ErrFormat},
	{"entry of 13 bytes", "comb", func(d *disk) { le.PutUint16(d.entry("/", "etc")[4:], 13) }, "/usr/bin", "rec_len", image.ErrFormat},
	{"entry past the block", "comb", func(d *disk) { le.PutUint16(d.entry("/", "etc")[4:], 65532) }, "/usr/bin", "rec_len", image.ErrFormat},
	{"name longer than the entry", "comb", func(d *disk) { d.entry("/", "etc")[6] = 255 }, "/usr/bin", "rec_len", image.ErrFormat},
	{"entry with inode 2^32-1", "comb", func(d *disk) { le.PutUint32(d.entry("/", "etc"), 1<<32-1) }, "/etc/fstab", "inode 4294967295", image.ErrFormat},
	{"entry with an inode not in use", "comb", func(d *disk) { le.PutUint32(d.entry("/", "etc"), 500) }, "/etc/fstab", "i_mode", image.ErrFormat},
	{"directory in itself", "comb", func(d *disk) { le.PutUint32(d.entry("/", "usr"), 2) }, "/usr/usr/usr/usr/usr/etc/x", "", fs.ErrNotExist},

	{"size 2^63", "comb", inode32("/files/comb", 108, 1<<31), "/files/comb", "i_size_high", image.ErrFormat},
	{"size 2^62", "comb", inode32("/files/comb", 108, 1<<30), "/files/comb", "", nil},
	{"link to itself", "comb", func(d *disk) { copy(d.inode("/bin")[40:], "bin/bin\x00") }, "/bin/cloud-init", "", tree.ErrLinks},
	{"link with NULs", "comb", func(d *disk) { clear(d.inode("/bin")[40:60]) }, "/bin/cloud-init", "", fs.ErrNotExist},
	{"link to nothing", "comb", inode32("/bin", 4, 0), "/bin/cloud-init", "", fs.ErrNotExist},
	{"link of 4 GiB", "comb", inode32("/links/300", 4, 1<<32-1), "/links/300/x", "", fs.ErrNotExist},
	{"link of 4 GiB in the inode", "comb", inode32("/bin", 4, 1<<32-1), "/bin/x", "", bounded.ErrRange},

	{"pointer past the end", "ext2", inode32("/", 40, 1<<32-1), "/etc", "", bounded.ErrRange},
	{"indirect block past the end", "ext2", inode32("/files/large", 40+4*12, 1<<32-1), "/files/large", "", bounded.ErrRange},
	{"indirect block of itself", "ext2", func(d *disk) {
		at := le.Uint32(d.inode("/files/large")[40+4*13:])
		for i := range 256 {
			le.PutUint32(d.b[at*1024+4*uint32(i):], at)
		}
	}, "/files/large", "", nil},
	{"file of holes", "ext2", func(d *disk) {
		clear(d.inode("/files/large")[40:100])
		le.PutUint32(d.inode("/files/large")[4:], 1<<32-1)
	}, "/files/large", "", nil},
	{"large directory of holes", "ext2", func(d *disk) {
		clear(d.inode("/var/many")[44:100])
		le.PutUint32(d.inode("/var/many")[4:], 1<<32-1)
	}, "/var/many/x", "", bounded.ErrLimit},
	{"directory of one block again and again", "ext2", func(d *disk) {
		n := d.inode("/var/many")
		first := le.Uint32(n[40:])
		at := uint32(2047) // a free block at the end
		for i := range 256 {
			le.PutUint32(d.b[at*1024+4*uint32(i):], at)
		}
		for i := range 12 {
			le.PutUint32(n[40+4*i:], first)
		}
		le.PutUint32(n[88:], at)
		le.PutUint32(n[92:], at)
		le.PutUint32(n[96:], at)
		le.PutUint32(n[4:], 1<<32-1)
	}, "/var/many/x", "", fstest.ErrAny},
	{"directory of 4 GiB with data", "comb", func(d *disk) {
		n := d.inode("/var/many")
		block := uint32(d.node("/var/many").mustLocate(d.t))
		le.PutUint16(n[42:], 4)
		for i := range uint32(4) {
			le.PutUint32(n[52+12*i:], i*32768)
			le.PutUint16(n[56+12*i:], 32768)
			le.PutUint16(n[58+12*i:], 0)
			le.PutUint32(n[60+12*i:], block)
		}
		le.PutUint32(n[4:], 1<<32-1)
		// Everything after the first block must look like empty entries.
		for at := int(block) * 1024; at+1024 <= len(d.b); at += 1024 {
			le.PutUint32(d.b[at:], 0)
			le.PutUint32(d.b[at+4:], 1024)
		}
		le.PutUint32(d.b[1024+offBlocks:], 1<<30)
	}, "/var/many/x", "", bounded.ErrRange},

	{"inline: extra size 65535", "ext4", inode16("/files/100", 128, 65535), "/files/100", "i_extra_isize", image.ErrFormat},
	{"inline: extra size 31", "ext4", inode16("/files/100", 128, 31), "/files/100", "i_extra_isize", image.ErrFormat},
	{"inline: extra size of all", "ext4", inode16("/files/100", 128, 128), "/files/100", "", nil},
	{"inline: attribute magic", "ext4", inode32("/files/100", 128+32, 0), "/files/100", "", nil},
	{"inline: name of 255 bytes", "ext4", func(d *disk) { d.inode("/files/100")[128+32+4] = 255 }, "/files/100", "e_name_len", image.ErrFormat},
	{"inline: value of 2^32-1 bytes", "ext4", inode32("/files/100", 128+32+4+8, 1<<32-1), "/files/100", "e_value_size", image.ErrFormat},
	{"inline: value at 65535", "ext4", inode16("/files/100", 128+32+4+2, 65535), "/files/100", "e_value_size", image.ErrFormat},
	{"inline: value in an inode", "ext4", inode32("/files/100", 128+32+4+4, 12), "/files/100", "e_value_size", image.ErrFormat},
	{"inline: directory entry of no bytes", "ext4", inode16("/etc", 48, 0), "/etc/x", "rec_len", image.ErrFormat},
	{"inline: directory entry past the end", "ext4", inode16("/etc", 48, 60), "/etc/x", "rec_len", image.ErrFormat},
}

func TestHostile(t *testing.T) {
	images := map[string][]byte{}
	for _, name := range []string{"comb", "ext2", "ext4"} {
		images[name] = goldenImage(name)
	}
	for _, c := range hostile {
		t.Run(c.name, func(t *testing.T) {
			d := &disk{t, bytes.Clone(images[c.image])}
			c.edit(d)
			// A directory can have 8 MiB, with as many blocks of its map.
			fstest.Hostile(t, root, d.b, c.path, c.text, c.kind, 17<<20)
		})
	}
}

func (n *Node) mustLocate(t *testing.T) int64 {
	t.Helper()
	r, err := n.locate(0)
	if err != nil {
		t.Fatal(err)
	}
	return r.start
}

func TestWarnings(t *testing.T) {
	for _, c := range []struct {
		edit func(*disk)
		text string
	}{
		{super32(offIncompat, incompatFiletype|incompatRecover), "was not unmounted"},
		{super16(offState, 3), "having errors"},
		{func(d *disk) { d.b = d.b[:len(d.b)/2] }, "has only 1048576"},
		{func(d *disk) {}, ""},
	} {
		d := &disk{t, goldenImage("ext2")}
		c.edit(d)
		f, err := Open(bounded.New(context.Background(), bytes.NewReader(d.b), int64(len(d.b)), 1<<20, 100))
		if err != nil {
			t.Fatal(err)
		}
		if w := strings.Join(f.Warnings(), "; "); !strings.Contains(w, c.text) || c.text == "" && w != "" {
			t.Errorf("warnings %q, want %q", w, c.text)
		}
	}
}

// TestHasSuper checks which groups have a copy of the superblock. It determines where group descriptors are.
func TestHasSuper(t *testing.T) {
	sparse := FS{roCompat: roSparseSuper}
	two := FS{roCompat: roSparseSuper, compat: compatSparseSuper2, backupGroups: [2]int64{1, 17}}
	for group, want := range map[int64][3]bool{0: {true, true, true}, 1: {true, true, true}, 2: {false, false, true}, 3: {true, false, true}, 5: {true, false, true},
		9: {true, false, true}, 15: {false, false, true}, 17: {false, true, true}, 49: {true, false, true}, 125: {true, false, true}, 1 << 46: {false, false, true}} {
		if got := [3]bool{sparse.hasSuper(group), two.hasSuper(group), (&FS{}).hasSuper(group)}; got != want {
			t.Errorf("group %d: %v, want %v", group, got, want)
		}
	}
}

func TestEntryLength(t *testing.T) {
	for _, c := range []struct {
		length uint16
		block  int
		want   int
	}{{12, 4096, 12}, {65535, 65536, 65536}, {0, 65536, 65536}, {65532, 65536, 65532}, {12, 65536, 12}, {1, 65536, 65536}, {0, 32768, 0}} {
		if got := entryLength(c.length, c.block); got != c.want {
			t.Errorf("%d in blocks of %d is %d, want %d", c.length, c.block, got, c.want)
		}
	}
}
