package contents

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/luksimg/luksimg/contents/internal/ext4"
	"github.com/luksimg/luksimg/contents/internal/tree"
	"github.com/luksimg/luksimg/contents/internal/xfs"
	"github.com/luksimg/luksimg/internal/golden"
)

// goldenTree returns the files that make.sh writes to every image.
func goldenTree() sample {
	s := systemTree()
	s["/links/59"] = "-> " + fmt.Sprintf("%059d", 7)
	s["/links/60"] = "-> " + fmt.Sprintf("%060d", 7)
	s["/links/300"] = "-> " + fmt.Sprintf("%0300d", 7)
	s["/files/large"] = strings.Repeat("0123456789abcde\n", 409600/16)
	s["/files/100"] = s["/files/large"][:100]
	return s.numbered("/var/many", 200, 40)
}

// numbered adds a directory of n files. Each contains its number.
func (s sample) numbered(dir string, n, width int) sample {
	for i := range n {
		s[fmt.Sprintf("%s/%04d-%0*d", dir, i, width, 0)] = fmt.Sprintln(i)
	}
	return s
}

func TestGoldenTrees(t *testing.T) {
	for _, name := range []string{"ext2", "ext4", "comb", "xfs5", "xfs4"} {
		t.Run(name, func(t *testing.T) {
			s := goldenTree()
			r := generous(bytes.NewReader(golden.Read("../testdata/contents/" + name + ".img.gz")))
			var root tree.Node
			if strings.HasPrefix(name, "xfs") {
				s.numbered("/var/scattered", 400, 230).numbered("/var/leaf", 70, 40).numbered("/var/block", 10, 40)
				if name == "xfs5" {
					delete(s, "/links/300") // see README.md
				}
				f, err := xfs.Open(r)
				if err != nil {
					t.Fatal(err)
				}
				if root, err = f.Root(); err != nil {
					t.Fatal(err)
				}
			} else {
				if name == "comb" {
					comb := make([]byte, 400<<10)
					for i := 0; i < 400; i += 2 {
						copy(comb[i<<10:], fmt.Sprintln(i))
					}
					s["/files/comb"] = string(comb)
				}
				f, err := ext4.Open(r)
				if err != nil {
					t.Fatal(err)
				}
				if root, err = f.Root(); err != nil {
					t.Fatal(err)
				}
			}
			s.check(t, root)
		})
	}
}

const goldenID = "6f1c7a5e-3b0e-4d53-8a54-0f5a2c1b9d0"

func TestGoldenDisks(t *testing.T) {
	const mib = 1 << 20
	root := &Filesystem{"ext2", "root", goldenID + "0"}
	for _, c := range []struct {
		name, table string
		root        int
		id          string
		partitions  []Partition
		whole       *Filesystem
	}{
		{"gpt", GPT, 3, goldenID + "0", []Partition{
			{1, 1 * mib, mib, "efi", "c12a7328-f81f-11d2-ba4b-00a0c93ec93b", "EFI", goldenID + "1", false, &Filesystem{"fat12", "EFI", "1234-ABCD"}},
			{2, 2 * mib, mib, "bios-boot", "21686148-6449-6e6f-744e-656564454649", "", goldenID + "2", false, nil},
			{3, 3 * mib, 2 * mib, "linux", "0fc63daf-8483-4772-8e79-3d69d8477de4", "root", goldenID + "3", true, root},
			{4, 5 * mib, mib, "linux-swap", "0657fd6d-a4ab-43c4-84e5-0933c84b4f4f", "", goldenID + "4", false, &Filesystem{"swap", "SWAP-xvdb1", goldenID + "0"}},
		}, nil},
		{"mbr", MBR, 6, "1234abcd", []Partition{
			{1, 1 * mib, mib, "linux-swap", "0x82", "", "", false, &Filesystem{"swap", "SWAP-xvdb1", goldenID + "0"}},
			{2, 2 * mib, 7 * mib, "extended", "0x05", "", "", false, nil},
			{5, 3 * mib, mib, "linux-swap", "0x82", "", "", false, &Filesystem{"swap", "SWAP-xvdb1", goldenID + "0"}},
			{6, 5 * mib, 2 * mib, "linux", "0x83", "", "", true, root},
		}, nil},
		{"ext2", NoTable, 0, "", nil, root},
		{"ext4", NoTable, 0, "", nil, &Filesystem{"ext4", "root", goldenID + "0"}},
		{"xfs5", NoTable, 0, "", nil, &Filesystem{"xfs", "root", goldenID + "0"}},
		{"xfs4", NoTable, 0, "", nil, &Filesystem{"xfs", "root", goldenID + "0"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			src := &counting{b: golden.Read("../testdata/contents/" + c.name + ".img.gz")}
			info := inspect(t, src)
			checkSystem(t, info)
			if info.PartitionTable != c.table || info.RootPartition != c.root || info.DiskID != c.id || len(info.Warnings) > 0 || info.Encrypted {
				t.Errorf("Inspect: got %+v", info)
			}
			if got, want := describe(info.Filesystem), describe(c.whole); got != want {
				t.Errorf("filesystem %s, want %s", got, want)
			}
			if len(info.Partitions) != len(c.partitions) {
				t.Fatalf("%d partitions", len(info.Partitions))
			}
			for i, p := range info.Partitions {
				want := c.partitions[i]
				if describe(p.Filesystem) != describe(want.Filesystem) {
					t.Errorf("partition %d: %s", p.Number, describe(p.Filesystem))
				}
				if p.Filesystem, want.Filesystem = nil, nil; p != want {
					t.Errorf("%+v, want %+v", p, want)
				}
			}
			// The documentation promises these limits.
			if src.bytes > 1<<20 || src.reads > 1000 {
				t.Errorf("read %d bytes in %d calls", src.bytes, src.reads)
			}
		})
	}
}

func describe(f *Filesystem) string {
	if f == nil {
		return "none"
	}
	return fmt.Sprint(*f)
}

// A counting source counts the bytes and calls of reads.
type counting struct {
	b     []byte
	size  int64 // if longer than b, zeros follow
	bytes int64
	reads int
}

func (c *counting) Size() int64 { return max(int64(len(c.b)), c.size) }

func (c *counting) ReadAt(p []byte, off int64) (int, error) {
	c.reads++
	n := copy(p, c.b[min(off, int64(len(c.b))):])
	if rest := min(int64(len(p)), c.Size()-off); int64(n) < rest {
		clear(p[n:rest])
		n = int(rest)
	}
	c.bytes += int64(n)
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}
