package contents

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/luksimg/luksimg/contents/internal/ext4"
	"github.com/luksimg/luksimg/internal/need"
)

// extTree returns files that ext stores in different ways: links inside and outside of the inode, inline
// files, files with holes, and large directories.
func extTree() sample {
	s := systemTree().many("/var/many", 2500).many("/var/few", 30).many("/var/two", 2)
	for _, n := range []int{58, 59, 60, 61, 100, 156, 157, 1000} {
		s["/links/"+strings.Repeat("l", n%199+1)] = "-> " + strings.Repeat("t", n)
	}
	for _, n := range []int{0, 59, 60, 61, 100, 130, 152, 160, 1024, 4096, 4097, 65536, 700_000} {
		s["/files/"+fmt.Sprint(n)] = noise(n, uint64(n))
	}
	return s
}

// holes writes sparse files, which [sample.write] does not: data in every second block, and a last piece far
// away. It returns their contents.
func holes(t *testing.T, dir string, block int) sample {
	t.Helper()
	s := sample{}
	for _, c := range []struct {
		name          string
		pieces, apart int
		last          int
	}{{"comb", 700, 2 * block, 0}, {"far", 1, 0, 300 * block}, {"farther", 2, 5 * block, 70_000 * min(block, 1024)}} {
		size := max(c.pieces*c.apart, c.last) + block/2
		content := make([]byte, size)
		f, err := os.Create(filepath.Join(dir, c.name))
		if err != nil {
			t.Fatal(err)
		}
		write := func(off int) {
			b := []byte(noise(min(block, size-off), uint64(off)))
			copy(content[off:], b)
			if _, err := f.WriteAt(b, int64(off)); err != nil {
				t.Fatal(err)
			}
		}
		for i := range c.pieces {
			write(i * c.apart)
		}
		write(c.last)
		write(size - block/2) // mke2fs loses a hole at the end of a file with inline data
		f.Close()
		s["/"+c.name] = string(content)
	}
	return s
}

func TestExtFromMke2fs(t *testing.T) {
	need.Program(t, "mke2fs", "e2fsck")
	s := extTree()
	dirs, trees, t2 := map[int]string{}, map[int]sample{}, t
	for _, c := range []struct {
		name, kind string
		block      int
		args       []string
		index      bool // build hash trees of the directories
	}{
		{"ext2", "ext2", 1024, []string{"-t", "ext2", "-b", "1024"}, false},
		{"ext2 revision 0", "ext2", 1024, []string{"-t", "ext2", "-b", "1024", "-r", "0", "-I", "128", "-O", "none"}, false},
		{"ext2 without types", "ext2", 2048, []string{"-t", "ext2", "-b", "2048", "-O", "^filetype,^sparse_super,^resize_inode"}, false},
		{"ext3", "ext3", 1024, []string{"-t", "ext3", "-b", "1024"}, true},
		{"ext3 with blocks of 4 KiB", "ext3", 4096, []string{"-t", "ext3", "-b", "4096", "-I", "128"}, false},
		{"ext4 1 KiB", "ext4", 1024, []string{"-t", "ext4", "-b", "1024"}, true},
		{"ext4 2 KiB", "ext4", 2048, []string{"-t", "ext4", "-b", "2048"}, false},
		{"ext4 4 KiB", "ext4", 4096, []string{"-t", "ext4", "-b", "4096"}, true},
		{"ext4 64 KiB", "ext4", 65536, []string{"-t", "ext4", "-b", "65536"}, false},
		{"ext4 without extents", "ext4", 1024, []string{"-t", "ext4", "-b", "1024", "-O", "^extent,^64bit"}, true},
		{"ext4 32 bits", "ext4", 4096, []string{"-t", "ext4", "-b", "4096", "-O", "^64bit,^flex_bg,^metadata_csum"}, false},
		{"ext4 inline data", "ext4", 4096, []string{"-t", "ext4", "-b", "4096", "-I", "256", "-O", "inline_data"}, false},
		{"ext4 inline data, inodes of 1 KiB", "ext4", 4096, []string{"-t", "ext4", "-b", "4096", "-I", "1024", "-O", "inline_data"}, false},
		{"ext4 meta_bg", "ext4", 1024, []string{"-t", "ext4", "-b", "1024", "-O", "meta_bg,^resize_inode", "-g", "1024"}, false},
		{"ext4 meta_bg 32 bits", "ext4", 1024, []string{"-t", "ext4", "-b", "1024", "-O", "meta_bg,^resize_inode,^64bit,^flex_bg", "-g", "512"}, true},
		{"ext4 sparse_super2", "ext4", 1024, []string{"-t", "ext4", "-b", "1024", "-O", "sparse_super2,meta_bg,^resize_inode", "-g", "1024"}, false},
		{"ext4 bigalloc", "ext4", 4096, []string{"-t", "ext4", "-b", "4096", "-O", "bigalloc", "-C", "16384"}, false},
		{"ext4 bigalloc 1 KiB", "ext4", 1024, []string{"-t", "ext4", "-b", "1024", "-O", "bigalloc,^resize_inode", "-C", "16384"}, false},
		{"ext4 large_dir and encrypt", "ext4", 4096, []string{"-t", "ext4", "-b", "4096", "-O", "large_dir,encrypt,ea_inode,metadata_csum_seed,casefold"}, true},
		{"ext4 descriptors of 128 bytes", "ext4", 4096, []string{"-t", "ext4", "-b", "4096", "-O", "mmp", "-E", "desc_size=128"}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			hole := min(c.block, 4096)
			if dirs[hole] == "" {
				dirs[hole] = t2.TempDir()
				trees[hole] = holes(t, dirs[hole], hole)
				maps.Copy(trees[hole], s)
				s.write(t, dirs[hole])
			}
			dir, all := dirs[hole], trees[hole]
			path := blank(t, 256<<20)
			size := []string{"-J", "size=4"} // MiB; a large journal is slow to write
			if c.kind == "ext2" || c.block == 65536 {
				size = nil
			}
			args := append(size, "-q", "-F", "-N", "6000", "-L", "root", "-U", "6f1c7a5e-3b0e-4d53-8a54-0f5a2c1b9d00", "-d", dir)
			need.Run(t, "", "mke2fs", append(append(args, c.args...), path)...)
			if c.index {
				optimise(t, path)
			}
			src := openImage(t, path)
			f, err := ext4.Open(generous(src))
			if err != nil {
				t.Fatal(err)
			}
			root, err := f.Root()
			if err != nil {
				t.Fatal(err)
			}
			all.check(t, root)
			info := inspect(t, src)
			checkSystem(t, info)
			if fs := info.Filesystem; fs == nil || *fs != (Filesystem{Type: c.kind, Label: "root", UUID: "6f1c7a5e-3b0e-4d53-8a54-0f5a2c1b9d00"}) {
				t.Errorf("filesystem %+v, want %s", fs, c.kind)
			}
			if len(info.Warnings) > 0 {
				t.Errorf("warnings %q", info.Warnings)
			}
		})
	}
}

// optimise runs e2fsck to build hash trees of directories. e2fsck exits with status 1 if it changed anything.
func optimise(t *testing.T, path string) {
	t.Helper()
	need.Run(t, "", "sh", "-c", `PATH=$PATH:/usr/sbin:/sbin; e2fsck -fyD "$1"; test $? -le 1`, "sh", path)
}

// checkSystem checks that Inspect found the contents of [systemTree].
func checkSystem(t *testing.T, info *Info) {
	t.Helper()
	if info.OS == nil || *info.OS != (OS{"rhel", "9.4", "Red Hat Enterprise Linux 9.4 (Plow)"}) {
		t.Errorf("OS %+v", info.OS)
	}
	if info.CloudInit != Found || info.CloudInitReason != "/usr/bin/cloud-init" {
		t.Errorf("cloud-init %s (%s)", info.CloudInit, info.CloudInitReason)
	}
	if !info.HasFstab || len(info.Mounts) != 2 || info.Mounts[1] != (Mount{"LABEL=SWAP-xvdb1", "swap", "swap"}) {
		t.Errorf("fstab %v %+v", info.HasFstab, info.Mounts)
	}
}
