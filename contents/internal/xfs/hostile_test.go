package xfs

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

// inode returns the bytes starting at the inode of a path, and fork those starting at its data fork.
func (d *disk) inode(path string) []byte { return d.b[d.node(path).at:] }
func (d *disk) fork(path string) []byte  { return d.b[d.node(path).forkAt:] }

// block returns the bytes starting at a block of the file at a path.
func (d *disk) block(path string, nth uint64) []byte {
	d.t.Helper()
	n := d.node(path)
	r, err := n.locate(nth)
	if err != nil || r.hole {
		d.t.Fatalf("block %d of %s: %+v, %v", nth, path, r, err)
	}
	at, err := n.f.at(r.start)
	if err != nil {
		d.t.Fatal(err)
	}
	return d.b[at:]
}

// child returns the number of the block that the root of an extent B+tree points to, and the bytes starting
// there.
func (d *disk) child(path string) (uint64, []byte) {
	d.t.Helper()
	n := d.node(path)
	if n.format != formatBtree {
		d.t.Fatalf("%s has no tree", path)
	}
	ptr := be.Uint64(n.fork[4+8*((len(n.fork)-4)/pairSize):])
	at, err := n.f.at(ptr)
	if err != nil {
		d.t.Fatal(err)
	}
	return ptr, d.b[at:]
}

func set8(off int, v byte) func(*disk)    { return func(d *disk) { d.b[off] = v } }
func set16(off int, v uint16) func(*disk) { return func(d *disk) { be.PutUint16(d.b[off:], v) } }
func set32(off int, v uint32) func(*disk) { return func(d *disk) { be.PutUint32(d.b[off:], v) } }
func set64(off int, v uint64) func(*disk) { return func(d *disk) { be.PutUint64(d.b[off:], v) } }

func inode8(path string, off int, v byte) func(*disk) {
	return func(d *disk) { d.inode(path)[off] = v }
}
func inode16(path string, off int, v uint16) func(*disk) {
	return func(d *disk) { be.PutUint16(d.inode(path)[off:], v) }
}
func inode32(path string, off int, v uint32) func(*disk) {
	return func(d *disk) { be.PutUint32(d.inode(path)[off:], v) }
}
func inode64(path string, off int, v uint64) func(*disk) {
	return func(d *disk) { be.PutUint64(d.inode(path)[off:], v) }
}

// extent encodes an extent record.
func extent(b []byte, first, start, length uint64) {
	be.PutUint64(b, first<<9|start>>43)
	be.PutUint64(b[8:], start<<21|length)
}

const scattered = "/var/scattered" // a directory with an extent B+tree

// hostile lists edits of images, the path that is read afterwards, and the result: an error with a text or of
// a kind, or the content.
var hostile = []struct {
	name, image string
	edit        func(*disk)
	path        string
	text        string
	kind        error
}{
	{"magic", "xfs5", set32(0, 0), "/", "sb_magicnum", image.ErrFormat},
	{"version 3", "xfs5", set16(offVersion, 3), "/", "version 3", image.ErrUnsupported},
	{"version 1 directories", "xfs4", set16(offVersion, 4), "/", "directories of version 1", image.ErrUnsupported},
	{"unknown features", "xfs5", set32(offIncompat, 1<<31), "/", "incompatible features", image.ErrUnsupported},
	{"mkfs in progress", "xfs5", set8(offInProgress, 1), "/", "sb_inprogress", image.ErrFormat},
	{"blocks of 256 bytes", "xfs5", set8(offBlockLog, 8), "/", "sb_blocklog", image.ErrFormat},
	{"blocks of 128 KiB", "xfs5", set8(offBlockLog, 17), "/", "sb_blocklog", image.ErrFormat},
	{"blocks of 2^255 bytes", "xfs5", set8(offBlockLog, 255), "/", "sb_blocklog", image.ErrFormat},
	{"other block size", "xfs5", set32(offBlockSize, 4096), "/", "sb_blocksize", image.ErrFormat},
	{"inodes of 128 bytes", "xfs5", set8(offInodeLog, 7), "/", "sb_inodelog", image.ErrFormat},
	{"inodes of 4 KiB", "xfs5", set8(offInodeLog, 12), "/", "sb_inodelog", image.ErrFormat},
	{"inodes larger than a block", "xfs5", set8(offInodeLog, 11), "/", "sb_inodelog", image.ErrFormat},
	{"other inode size", "xfs5", set16(offInodeSize, 256), "/", "sb_inodesize", image.ErrFormat},
	{"other inodes in a block", "xfs5", set8(offInodePerLog, 4), "/", "sb_inopblog", image.ErrFormat},
	{"no blocks in a group", "xfs5", set32(offAGBlocks, 0), "/", "sb_agblocks", image.ErrFormat},
	{"more blocks in a group than its numbers", "xfs5", set8(offAGBlockLog, 3), "/", "sb_agblocks", image.ErrFormat},
	{"numbers of 255 bits", "xfs5", set8(offAGBlockLog, 255), "/", "sb_agblocks", image.ErrFormat},
	{"no groups", "xfs5", set32(offAGCount, 0), "/", "sb_agcount", image.ErrFormat},
	{"no blocks", "xfs5", set64(offBlocks, 0), "/", "sb_dblocks", image.ErrFormat},
	{"2^63 blocks", "xfs5", set64(offBlocks, 1<<63), "/", "sb_dblocks", image.ErrFormat},
	{"directory blocks of 128 KiB", "xfs5", set8(offDirBlockLog, 7), "/", "sb_dirblklog", image.ErrFormat},
	{"directory blocks of 2^255 bytes", "xfs5", set8(offDirBlockLog, 255), "/", "sb_dirblklog", image.ErrFormat},
	{"short", "xfs5", func(d *disk) { d.b = d.b[:200] }, "/", "", bounded.ErrRange},
	{"cut behind the superblock", "xfs5", func(d *disk) { d.b = d.b[:4096] }, "/", "", bounded.ErrRange},

	{"root at 2^64-1", "xfs5", set64(offRoot, 1<<64-1), "/", "", bounded.ErrRange},
	{"root in a group that is not there", "xfs5", set64(offRoot, 1<<40), "/", "", bounded.ErrRange},
	{"root in the superblock", "xfs5", set64(offRoot, 0), "/", "di_magic", image.ErrFormat},
	{"root past the disk", "xfs5", func(d *disk) {
		be.PutUint32(d.b[offAGCount:], 1<<20)
		be.PutUint64(d.b[offBlocks:], 1<<31)
		be.PutUint64(d.b[offRoot:], 1<<30)
	}, "/", "", bounded.ErrRange},
	{"inode without a mode", "xfs5", inode16("/", 2, 0), "/", "di_mode", image.ErrFormat},
	{"inode of another number", "xfs5", inode64("/", 152, 77), "/", "di_ino", image.ErrFormat},
	{"root is a file", "xfs5", inode16("/", 2, 0x8000), "/etc", "", fs.ErrNotExist},
	{"size 2^63", "xfs5", inode64("/", 56, 1<<63), "/etc", "di_size", image.ErrFormat},
	{"fork offset past the inode", "xfs5", inode8("/", 82, 255), "/etc", "di_forkoff", image.ErrFormat},
	{"fork of 8 bytes", "xfs5", inode8("/", 82, 1), "/etc", "di_size", image.ErrFormat},
	{"realtime file", "xfs5", inode16("/etc/fstab", 90, 1), "/etc/fstab", "realtime", image.ErrUnsupported},
	{"format of a device", "xfs5", inode8("/etc/fstab", 5, 0), "/etc/fstab", "di_format", image.ErrFormat},
	{"directory of no format", "xfs5", inode8("/var/many", 5, 77), "/var/many/x", "di_format", image.ErrFormat},
	{"file in its inode", "xfs5", inode8("/files/large", 5, formatLocal), "/files/large", "di_size", image.ErrFormat},

	{"short form larger than the inode", "xfs5", inode64("/", 56, 1000), "/x", "di_size", image.ErrFormat},
	{"short form of 5 bytes", "xfs5", inode64("/", 56, 5), "/x", "at least 6", image.ErrFormat},
	{"short form with 255 entries", "xfs5", func(d *disk) { d.fork("/")[0] = 255 }, "/x", "short form entry", image.ErrFormat},
	{"short form with long inode numbers", "xfs5", func(d *disk) { d.fork("/")[1] = 1 }, "/x", "", fstest.ErrAny},
	{"short form name of 255 bytes", "xfs5", func(d *disk) { d.fork("/")[6] = 255 }, "/x", "short form entry", image.ErrFormat},
	{"short form inode 2^32-1", "xfs5", func(d *disk) {
		i := bytes.Index(d.fork("/"), []byte("etc"))
		be.PutUint32(d.fork("/")[i+4:], 1<<32-1)
	}, "/etc/x", "", bounded.ErrRange},
	{"directory in itself", "xfs5", func(d *disk) {
		i := bytes.Index(d.fork("/"), []byte("usr"))
		be.PutUint32(d.fork("/")[i+4:], be.Uint32(d.b[offRoot+4:]))
	}, "/usr/usr/usr/usr/etc/x", "", fs.ErrNotExist},

	{"more extents than fit", "xfs5", inode32("/var/many", 76, 22), "/var/many/x", "di_nextents", image.ErrFormat},
	{"2^32-1 extents", "xfs5", inode32("/var/many", 76, 1<<32-1), "/var/many/x", "di_nextents", image.ErrFormat},
	{"large extent count", "xfs5", inode64("/var/many", 120, flag2Nrext64), "/var/many/x", "", fs.ErrNotExist},
	{"large extent count 2^60", "xfs5", func(d *disk) {
		be.PutUint64(d.inode("/var/many")[120:], flag2Nrext64)
		be.PutUint64(d.inode("/var/many")[24:], 1<<60)
	}, "/var/many/x", "di_nextents", image.ErrFormat},
	{"no extents", "xfs5", inode32("/var/many", 76, 0), "/var/many/x", "", fs.ErrNotExist},
	{"extent past the end", "xfs5", func(d *disk) { extent(d.fork("/var/many"), 0, 1<<50, 8) }, "/var/many/x", "", bounded.ErrRange},
	{"extent of no blocks", "xfs5", func(d *disk) { extent(d.fork("/var/many"), 0, 1, 0) }, "/var/many/x", "", fs.ErrNotExist},
	{"extent in the superblock", "xfs5", func(d *disk) { extent(d.fork("/var/many"), 0, 0, 4) }, "/var/many/x", "directory block magic", image.ErrFormat},
	{"hole in a directory block", "xfs5", func(d *disk) { extent(d.fork("/var/many"), 1, 20, 4) }, "/var/many/x", "", fstest.ErrAny},
	{"part of a directory block", "xfs5", func(d *disk) {
		be.PutUint32(d.inode("/var/many")[76:], 1)
		f := d.fork("/var/many")
		be.PutUint64(f[8:], be.Uint64(f[8:])&^(1<<21-1)|2)
	}, "/var/many/x", "a hole", image.ErrFormat},
	{"extents all over", "xfs5", func(d *disk) {
		be.PutUint64(d.inode("/var/many")[56:], 1<<62)
		f := d.fork("/var/many")
		start := be.Uint64(f)&(1<<9-1)<<43 | be.Uint64(f[8:])>>21
		be.PutUint32(d.inode("/var/many")[76:], 1)
		extent(f, 0, start, 1<<21-1)
	}, "/var/many/x", "", fstest.ErrAny},
	{"directory of holes", "xfs5", func(d *disk) {
		be.PutUint64(d.inode("/var/many")[56:], 1<<62)
		be.PutUint32(d.inode("/var/many")[76:], 0)
	}, "/var/many/x", "", fs.ErrNotExist},
	{"file of holes", "xfs5", func(d *disk) {
		be.PutUint64(d.inode("/files/large")[56:], 1<<62)
		be.PutUint32(d.inode("/files/large")[76:], 0)
	}, "/files/large", "", nil},
	{"holes and one extent far out", "xfs5", func(d *disk) {
		be.PutUint64(d.inode("/var/many")[56:], 1<<62)
		be.PutUint32(d.inode("/var/many")[76:], 1)
		extent(d.fork("/var/many"), 1<<54-2, 20, 1)
	}, "/var/many/x", "", fs.ErrNotExist},

	{"tree of level 0", "xfs5", func(d *disk) { be.PutUint16(d.fork(scattered), 0) }, scattered + "/x", "bb_level", image.ErrFormat},
	{"tree of level 65535", "xfs5", func(d *disk) { be.PutUint16(d.fork(scattered), 65535) }, scattered + "/x", "bb_level", image.ErrFormat},
	{"tree of another level", "xfs5", func(d *disk) { be.PutUint16(d.fork(scattered), 5) }, scattered + "/x", "bb_level", image.ErrFormat},
	{"tree without records", "xfs5", func(d *disk) { be.PutUint16(d.fork(scattered)[2:], 0) }, scattered + "/x", "bb_numrecs", image.ErrFormat},
	{"tree with too many records", "xfs5", func(d *disk) { be.PutUint16(d.fork(scattered)[2:], 22) }, scattered + "/x", "bb_numrecs", image.ErrFormat},
	{"tree in 8 bytes", "xfs5", inode8(scattered, 82, 1), scattered + "/x", "di_forkoff", image.ErrFormat},
	{"tree with a pointer past the end", "xfs5", func(d *disk) {
		f := d.node(scattered).fork
		be.PutUint64(d.fork(scattered)[4+8*((len(f)-4)/pairSize):], 1<<63)
	}, scattered + "/x", "", bounded.ErrRange},
	{"tree with a block of another kind", "xfs5", func(d *disk) { _, b := d.child(scattered); b[0] = 'X' }, scattered + "/x", "bb_magic", image.ErrFormat},
	{"tree of version 4 in version 5", "xfs5", func(d *disk) { _, b := d.child(scattered); copy(b, "BMAP") }, scattered + "/x", "bb_magic", image.ErrFormat},
	{"tree with a loop", "xfs5", func(d *disk) {
		ptr, b := d.child(scattered)
		be.PutUint16(d.fork(scattered), 2)
		be.PutUint16(b[4:], 1)
		be.PutUint16(b[6:], 1)
		room := (1024 - 72) / pairSize
		be.PutUint64(b[72:], 0)
		be.PutUint64(b[72+8*room:], ptr)
	}, scattered + "/x", "bb_level", image.ErrFormat},
	{"tree with a loop, version 4", "xfs4", func(d *disk) {
		ptr, b := d.child(scattered)
		be.PutUint16(d.fork(scattered), 9)
		be.PutUint16(b[4:], 8)
		be.PutUint16(b[6:], 1)
		room := (1024 - 24) / pairSize
		be.PutUint64(b[24:], 0)
		be.PutUint64(b[24+8*room:], ptr)
	}, scattered + "/x", "bb_level", image.ErrFormat},
	{"leaf with too many records", "xfs5", func(d *disk) { _, b := d.child(scattered); be.PutUint16(b[6:], 60) }, scattered + "/x", "bb_numrecs", image.ErrFormat},
	{"leaf without records", "xfs5", func(d *disk) { _, b := d.child(scattered); be.PutUint16(b[6:], 0) }, scattered + "/x", "", fs.ErrNotExist},

	{"directory block of another kind", "xfs5", func(d *disk) { copy(d.block("/var/many", 0), "XDB4") }, "/var/many/x", "directory block magic", image.ErrFormat},
	{"directory block of version 4", "xfs5", func(d *disk) { copy(d.block("/var/many", 0), "XD2D") }, "/var/many/x", "directory block magic", image.ErrFormat},
	{"index of 2^32-1 entries", "xfs5", func(d *disk) { be.PutUint32(d.block("/var/block", 0)[4096-8:], 1<<32-1) }, "/var/block/x", "count", image.ErrFormat},
	{"index of all", "xfs5", func(d *disk) { be.PutUint32(d.block("/var/block", 0)[4096-8:], (4096-8-64)/8) }, "/var/block/x", "", fs.ErrNotExist},
	{"unused space of no bytes", "xfs5", func(d *disk) { copy(d.block("/var/many", 0)[64:], "\xff\xff\x00\x00") }, "/var/many/x", "length", image.ErrFormat},
	{"unused space of 12 bytes", "xfs5", func(d *disk) { copy(d.block("/var/many", 0)[64:], "\xff\xff\x00\x0c") }, "/var/many/x", "length", image.ErrFormat},
	{"unused space past the block", "xfs5", func(d *disk) { copy(d.block("/var/many", 0)[64:], "\xff\xff\xff\xf8") }, "/var/many/x", "length", image.ErrFormat},
	{"name of no bytes", "xfs5", func(d *disk) { d.block("/var/many", 0)[64+8] = 0 }, "/var/many/x", "namelen", image.ErrFormat},
	{"name past the block", "xfs5", func(d *disk) {
		b := d.block("/var/block", 0)
		copy(b[64:], "\xff\xff")
		be.PutUint32(b[4096-8:], (4096-8-64-32)/8)
		be.PutUint16(b[66:], 8)
		b[64+8+8] = 255
	}, "/var/block/x", "namelen", image.ErrFormat},
	{"entry of 8 bytes", "xfs5", func(d *disk) {
		b := d.block("/var/block", 0)
		be.PutUint32(b[4096-8:], (4096-8-64-16)/8)
		copy(b[64:], "\xff\xff\x00\x08")
		clear(b[72:80])
	}, "/var/block/x", "at least 16", image.ErrFormat},
	{"entry with inode 2^64-1", "xfs5", func(d *disk) {
		b := d.block("/var/block", 0)
		i := bytes.Index(b, []byte("0003-"))
		be.PutUint64(b[i-9:], 1<<64-1)
	}, "/var/block/0003-" + strings.Repeat("0", 40), "", fstest.ErrAny},

	{"link to itself", "xfs5", func(d *disk) { copy(d.fork("/bin"), "bin/bin/") }, "/bin/x", "", tree.ErrLinks},
	{"link of 2 KiB", "xfs5", inode64("/bin", 56, 2048), "/bin/x", "di_size", image.ErrFormat},
	{"link larger than the inode", "xfs5", inode64("/bin", 56, 1000), "/bin/x", "di_size", image.ErrFormat},
	{"link of nothing", "xfs5", inode64("/bin", 56, 0), "/bin/x", "", fs.ErrNotExist},
	{"link of holes", "xfs5", func(d *disk) {
		n := d.inode("/bin")
		n[5] = formatExtents
		be.PutUint32(n[76:], 0)
	}, "/bin/x", "a hole", image.ErrFormat},
	{"link without its header", "xfs5", func(d *disk) {
		n := d.inode("/bin")
		n[5] = formatExtents
		be.PutUint32(n[76:], 1)
		extent(d.fork("/bin"), 0, 1, 1)
	}, "/bin/x", "sl_magic", image.ErrFormat},
}

func TestHostile(t *testing.T) {
	images := map[string][]byte{"xfs5": goldenImage("xfs5"), "xfs4": goldenImage("xfs4")}
	for _, c := range hostile {
		t.Run(c.name, func(t *testing.T) {
			d := &disk{t, bytes.Clone(images[c.image])}
			c.edit(d)
			// A directory can have 8 MiB.
			fstest.Hostile(t, root, d.b, c.path, c.text, c.kind, 9<<20)
		})
	}
}

// TestLongLink reads a link of XFS version 5, which has a header in each of its blocks.
func TestLongLink(t *testing.T) {
	d := &disk{t, goldenImage("xfs5")}
	n := d.inode("/links/300")
	target := strings.Repeat("0123456789", 100)
	n[5] = formatExtents
	be.PutUint64(n[56:], 1000)
	be.PutUint32(n[76:], 2)
	for i, part := range []string{target[:1024-linkHeader], target[1024-linkHeader:]} {
		block := uint64(8000 + 100*i)
		extent(d.fork("/links/300")[16*i:], uint64(i), block, 1)
		at, err := d.node("/links/300").f.at(block)
		if err != nil {
			t.Fatal(err)
		}
		copy(d.b[at:], "XSLM"+strings.Repeat("\x00", linkHeader-4)+part)
	}
	if b, err := d.node("/links/300").Content(4096); err != nil || string(b) != target {
		t.Errorf("Content: got %q, %v", b, err)
	}
	if b, err := d.node("/links/300").Content(970); err != nil || string(b) != target[:970] {
		t.Errorf("Content with a limit: got %q, %v", b, err)
	}
}

// TestWarnings checks that the last record of the log shows whether the filesystem was unmounted.
func TestWarnings(t *testing.T) {
	logAt := func(d *disk) []byte {
		f := d.root().f
		at, err := f.at(f.logStart)
		if err != nil {
			t.Fatal(err)
		}
		return d.b[at : at+int64(f.logBlocks)<<f.blockLog]
	}
	record := func(b []byte, cycle, ops, size uint32) {
		be.PutUint32(b, recordMagic)
		be.PutUint32(b[offCycle:], cycle)
		be.PutUint32(b[offNumOps:], ops)
		be.PutUint32(b[offRecordSize:], size)
	}
	for _, c := range []struct {
		name string
		edit func(*disk)
		text string
	}{
		{"as made", func(*disk) {}, ""},
		{"no unmount", func(d *disk) { logAt(d)[sector+opFlags] = 0 }, "was not unmounted"},
		{"more operations", func(d *disk) { be.PutUint32(logAt(d)[offNumOps:], 7) }, "was not unmounted"},
		{"a record after the unmount", func(d *disk) {
			l := logAt(d)
			record(l[2*sector:], 1, 3, 32<<10)
			be.PutUint32(l[3*sector:], 1)
		}, "was not unmounted"},
		{"second time round, unmounted", func(d *disk) {
			l := logAt(d)
			for i := 0; i < len(l); i += sector {
				be.PutUint32(l[i:], 7)
			}
			for i := range 20 {
				be.PutUint32(l[i*sector:], 8)
			}
			record(l[17*sector:], 8, 1, 64<<10) // with a header of two sectors
			l[19*sector+opFlags] = flagUnmount
		}, ""},
		{"second time round, the record at the end", func(d *disk) {
			l := logAt(d)
			for i := 0; i < len(l); i += sector {
				be.PutUint32(l[i:], 7)
			}
			record(l[len(l)-2*sector:], 7, 1, 0)
		}, "was not unmounted"},
		{"log of nothing", func(d *disk) { clear(logAt(d)) }, ""},
		{"log past the end", set64(offLogStart, 1<<50), ""},
		{"log past the disk", set32(offLogBlocks, 1<<32-1), ""},
		{"log elsewhere", set64(offLogStart, 0), ""},
		{"needs repair", set32(offIncompat, 0x1b), "needing repair"},
		{"disk cut", func(d *disk) { d.b = d.b[:10<<20] }, "has only 10485760"},
	} {
		d := &disk{t, goldenImage("xfs5")}
		c.edit(d)
		f, err := Open(bounded.New(context.Background(), bytes.NewReader(d.b), int64(len(d.b)), 1<<20, 1000))
		if err != nil {
			t.Fatal(err)
		}
		if w := strings.Join(f.Warnings(), "; "); !strings.Contains(w, c.text) || c.text == "" && w != "" {
			t.Errorf("%s: warnings %q, want %q", c.name, w, c.text)
		}
	}
}
