package contents

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/luksimg/luksimg/contents/internal/tree"
	"github.com/luksimg/luksimg/contents/internal/xfs"
	"github.com/luksimg/luksimg/image"
	"github.com/luksimg/luksimg/internal/need"
)

// prototype returns a prototype file for mkfs.xfs, see mkfs(8). It writes the file contents to dir.
func (s sample) prototype(t testing.TB, dir string) string {
	t.Helper()
	type folder map[string]any // holds folders, and paths in s
	root := folder{}
	for _, p := range s.paths() {
		parts := strings.Split(strings.Trim(p, "/"), "/")
		at := root
		for _, name := range parts[:len(parts)-1] {
			if at[name] == nil {
				at[name] = folder{}
			}
			at = at[name].(folder)
		}
		at[parts[len(parts)-1]] = p
	}
	var b strings.Builder
	n := 0
	var write func(f folder)
	write = func(f folder) {
		keys := sample{}
		for name := range f {
			keys[name] = ""
		}
		for _, name := range keys.paths() {
			switch v := f[name].(type) {
			case folder:
				fmt.Fprintf(&b, "%s d--755 0 0\n", name)
				write(v)
				b.WriteString("$\n")
			case string:
				if target, ok := strings.CutPrefix(s[v], "-> "); ok {
					fmt.Fprintf(&b, "%s l--777 0 0 %s\n", name, target)
					continue
				}
				n++
				file := filepath.Join(dir, fmt.Sprint(n))
				if err := os.WriteFile(file, []byte(s[v]), 0o600); err != nil {
					t.Fatal(err)
				}
				fmt.Fprintf(&b, "%s ---644 0 0 %s\n", name, file)
			}
		}
	}
	b.WriteString("none\n0 0\nd--755 0 0\n")
	write(root)
	b.WriteString("$\n")
	return b.String()
}

// xfsTree returns directories of each form: in the inode, of one block, with a leaf, with nodes, and with an
// extent B+tree. Files between its blocks fragment the last one.
func xfsTree() sample {
	s := systemTree().many("/var/many", 2500).many("/var/few", 3).many("/var/block", 25).many("/var/leaf", 90)
	for i := range 300 {
		// The names have 200 bytes. A few of them fill a directory block, and files occupy the blocks
		// between.
		name := fmt.Sprintf("/var/scattered/%03d-%s", i, strings.Repeat("s", 190))
		s[name] = noise(9000, uint64(i))
	}
	for _, n := range []int{1, 100, 150, 336, 337, 400, 460, 700, 900} {
		s[fmt.Sprintf("/links/%d", n)] = "-> " + strings.Repeat("t", n)
	}
	for _, n := range []int{0, 1, 511, 512, 4096, 4097, 65536, 1_000_000} {
		s[fmt.Sprintf("/files/%d", n)] = noise(n, uint64(n))
	}
	return s
}

func TestXFSFromMkfs(t *testing.T) {
	need.Program(t, "mkfs.xfs")
	dir := t.TempDir()
	s := xfsTree()
	proto := filepath.Join(dir, "proto")
	if err := os.WriteFile(proto, []byte(s.prototype(t, dir)), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		args []string
	}{
		{"version 5", nil},
		{"1 KiB", []string{"-b", "size=1024"}},
		{"2 KiB, directories of 8 KiB", []string{"-b", "size=2048", "-n", "size=8192"}},
		{"1 KiB, directories of 64 KiB", []string{"-b", "size=1024", "-n", "size=65536"}},
		{"64 KiB", []string{"-b", "size=65536"}},
		{"inodes of 2 KiB", []string{"-i", "size=2048"}},
		{"not sparse, no timestamps past 2038", []string{"-i", "sparse=0", "-m", "bigtime=0,reflink=0,inobtcount=0"}},
		{"large extent counts", []string{"-i", "nrext64=1", "-b", "size=1024"}},
		{"many groups", []string{"-b", "size=1024", "-d", "agcount=20", "--unsupported"}},
		{"version 4", []string{"-m", "crc=0", "-i", "size=256"}},
		{"version 4 without types", []string{"-m", "crc=0", "-n", "ftype=0", "-b", "size=512", "-i", "size=256"}},
		{"version 4, directories of 16 KiB", []string{"-m", "crc=0", "-n", "ftype=1,size=16384", "-b", "size=1024", "-i", "size=512"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := blank(t, 320<<20)
			need.Run(t, "", "mkfs.xfs", append(append([]string{"-q", "-L", "root", "-p", proto}, c.args...), p)...)
			for _, path := range s.paths() {
				if strings.HasPrefix(path, "/links/") {
					mendLink(t, p, path, strings.TrimPrefix(s[path], "-> "))
				}
			}
			src := openImage(t, p)
			f, err := xfs.Open(generous(src))
			if err != nil {
				t.Fatal(err)
			}
			root, err := f.Root()
			if err != nil {
				t.Fatal(err)
			}
			s.check(t, root)
			info := inspect(t, src)
			checkSystem(t, info)
			if fs := info.Filesystem; fs == nil || fs.Type != "xfs" || fs.Label != "root" || len(fs.UUID) != 36 {
				t.Errorf("filesystem %+v", fs)
			}
			if len(info.Warnings) > 0 {
				t.Errorf("warnings %q", info.Warnings)
			}
		})
	}
}

// mendLink adds the header that mkfs.xfs 6.1 omits from the block of a long link in XFS version 5. Linux
// refuses a link without it.
func mendLink(t *testing.T, file, link, target string) {
	t.Helper()
	f, err := xfs.Open(generous(openImage(t, file)))
	if err != nil {
		t.Fatal(err)
	}
	root, err := f.Root()
	if err != nil {
		t.Fatal(err)
	}
	dir, err := tree.Open(root, filepath.Dir(link))
	if err != nil {
		t.Fatal(err)
	}
	n, err := dir.Lookup(filepath.Base(link))
	if err != nil {
		t.Fatal(err)
	}
	var wrong *image.FormatError
	if _, err := n.Content(4096); !errors.As(err, &wrong) || wrong.Field != "sl_magic" {
		return
	}
	w, err := os.OpenFile(file, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	if _, err := w.WriteAt([]byte("XSLM"+strings.Repeat("\x00", 52)+target), wrong.Offset); err != nil {
		t.Fatal(err)
	}
}
