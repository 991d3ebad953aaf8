package contents

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"github.com/luksimg/luksimg/internal/need"
)

// sfdiskTable is the output of sfdisk --json.
type sfdiskTable struct {
	Table struct {
		Label      string
		ID         string
		SectorSize int64
		Partitions []struct {
			Node     string
			Start    int64
			Size     int64
			Type     string
			UUID     string
			Name     string
			Bootable bool
			Attrs    string
		}
	} `json:"partitiontable"`
}

func sfdisk(t *testing.T, path string) sfdiskTable {
	t.Helper()
	tool, err := need.Path("sfdisk")
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(tool, "--json", path).Output()
	if err != nil {
		t.Fatal(err)
	}
	var s sfdiskTable
	if err := json.Unmarshal(out, &s); err != nil {
		t.Fatal(err)
	}
	return s
}

func TestTablesOfSfdisk(t *testing.T) {
	need.Program(t, "sfdisk")
	for _, c := range []struct{ name, script, types string }{
		{"MBR", "label: dos\nsize=2M, type=ef, bootable\nsize=4M, type=82\ntype=83\n", "efi linux-swap linux"},
		{"MBR with logical partitions", "label: dos\nlabel-id: 0x1234abcd\nsize=2M, type=c\nsize=100M, type=5\nsize=1M, type=8e\n" + strings.Repeat("size=3M, type=83\n", 12), "fat32 extended linux-lvm linux linux linux linux linux linux linux linux linux linux linux linux"},
		{"MBR with a gap", "label: dos\n2: size=2M, type=fd\n4: size=1M, type=f\n", "linux-raid extended"},
		{"GPT", "label: gpt\nsize=1M, type=21686148-6449-6E6F-744E-656564454649, name=\"BIOS boot\"\nsize=2M, type=U\nsize=3M, type=S\nsize=3M, type=V\nsize=3M, type=R\ntype=L, name=\"Grüße an root\", attrs=LegacyBIOSBootable\n", "bios-boot efi linux-swap linux-lvm linux-raid linux"},
		{"GPT with gaps and many entries", "label: gpt\ntable-length: 200\n3: size=2M, type=H\n150: size=1M, type=CA7D7CCB-63ED-4C53-861C-1742536059CC\n200: size=1M, type=11111111-2222-3333-4444-555555555555\n", "linux-home linux-luks 11111111-2222-3333-4444-555555555555"},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := blank(t, 200<<20)
			need.Input(t, "", c.script, "sfdisk", "-q", path)
			want := sfdisk(t, path).Table
			info := inspect(t, openImage(t, path))
			want.SectorSize = 512 // old versions of sfdisk do not print it
			if label := strings.Replace(want.Label, "dos", MBR, 1); info.PartitionTable != label || int64(info.SectorSize) != want.SectorSize {
				t.Errorf("table %s with sectors of %d bytes, want %s with %d", info.PartitionTable, info.SectorSize, label, want.SectorSize)
			}
			if id := strings.ToLower(strings.TrimPrefix(want.ID, "0x")); info.DiskID != id {
				t.Errorf("disk ID %s, want %s", info.DiskID, id)
			}
			if len(info.Partitions) != len(want.Partitions) || len(info.Warnings) > 0 {
				t.Fatalf("%d partitions, want %d; warnings %q", len(info.Partitions), len(want.Partitions), info.Warnings)
			}
			var types []string
			for i, p := range info.Partitions {
				w := want.Partitions[i]
				types = append(types, p.Type)
				number, _ := strconv.Atoi(strings.TrimPrefix(w.Node, path))
				typeID := strings.ToLower(w.Type)
				if info.PartitionTable == MBR {
					typeID = fmt.Sprintf("0x%02s", typeID)
				}
				boot := w.Bootable || strings.Contains(w.Attrs, "LegacyBIOSBootable")
				exp := Partition{number, w.Start * want.SectorSize, w.Size * want.SectorSize, p.Type, typeID, w.Name, strings.ToLower(w.UUID), boot, nil}
				if p != exp {
					t.Errorf("%+v, want %+v", p, exp)
				}
			}
			if got := strings.Join(types, " "); got != c.types {
				t.Errorf("types %s, want %s", got, c.types)
			}
		})
	}
}

func TestFilesystemsOfTools(t *testing.T) {
	const id = "6f1c7a5e-3b0e-4d53-8a54-0f5a2c1b9d00"
	for _, c := range []struct {
		tool string
		size int64
		args []string
		want Filesystem
	}{
		{"mkfs.vfat", 1 << 20, []string{"-i", "1234abcd", "-n", "BOOT"}, Filesystem{"fat12", "BOOT", "1234-ABCD"}},
		{"mkfs.vfat", 20 << 20, []string{"-F", "16", "-i", "1234abcd"}, Filesystem{"fat16", "", "1234-ABCD"}},
		{"mkfs.vfat", 40 << 20, []string{"-F", "32", "-i", "00000001", "-n", "EFI SYSTEM"}, Filesystem{"fat32", "EFI SYSTEM", "0000-0001"}},
		{"mkfs.vfat", 40 << 20, []string{"-F", "32", "-S", "4096", "-i", "00000001"}, Filesystem{"fat32", "", "0000-0001"}},
		{"mkswap", 1 << 20, []string{"-U", id, "-L", "SWAP-xvdb1"}, Filesystem{"swap", "SWAP-xvdb1", id}},
		{"mkswap", 1 << 20, []string{"-p", "65536", "-U", id}, Filesystem{"swap", "", id}},
		{"mkfs.btrfs", 120 << 20, []string{"-q", "-U", id, "-L", "pool"}, Filesystem{"btrfs", "pool", id}},
		{"mke2fs", 1 << 20, []string{"-q", "-F", "-t", "ext2", "-U", id}, Filesystem{"ext2", "", id}},
		{"mke2fs", 8 << 20, []string{"-q", "-F", "-t", "ext3", "-U", id, "-L", "0123456789abcdef"}, Filesystem{"ext3", "0123456789abcdef", id}},
		{"cryptsetup", 20 << 20, []string{"-q", "luksFormat", "--type", "luks1", "--pbkdf-force-iterations", "1000", "--uuid", id, "--key-file", "-"}, Filesystem{"luks1", "", id}},
		{"cryptsetup", 20 << 20, []string{"-q", "luksFormat", "--type", "luks2", "--pbkdf", "pbkdf2", "--pbkdf-force-iterations", "1000", "--uuid", id, "--label", "secret disk", "--key-file", "-"}, Filesystem{"luks2", "secret disk", id}},
	} {
		t.Run(c.tool+" "+c.want.Type, func(t *testing.T) {
			need.Program(t, c.tool)
			path := blank(t, c.size)
			need.Input(t, "", "passphrase", c.tool, append(c.args, path)...)
			info := inspect(t, openImage(t, path))
			if info.Filesystem == nil || *info.Filesystem != c.want || info.PartitionTable != NoTable {
				t.Errorf("table %s, filesystem %+v, want %+v", info.PartitionTable, info.Filesystem, c.want)
			}
			if info.Encrypted != strings.HasPrefix(c.want.Type, "luks") {
				t.Errorf("encrypted is %v", info.Encrypted)
			}
			if info.CloudInit != Unknown || info.CloudInitReason == "" || len(info.Warnings) > 0 {
				t.Errorf("cloud-init %s (%s), warnings %q", info.CloudInit, info.CloudInitReason, info.Warnings)
			}
		})
	}
}

// TestDisk inspects a disk with the layout of an installer: four partitions, the last one with an XFS root.
func TestDisk(t *testing.T) {
	need.Program(t, "sfdisk", "mkfs.xfs", "mke2fs", "mkfs.vfat", "mkswap")
	dir := t.TempDir()
	path := blank(t, 512<<20)
	need.Input(t, "", "label: gpt\nsize=10M, type=U\nsize=20M, type=L\nsize=10M, type=S\ntype=L\n", "sfdisk", "-q", path)
	disk, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer disk.Close()
	table := inspect(t, openImage(t, path))
	if len(table.Partitions) != 4 || table.CloudInit != Unknown || table.CloudInitReason != "no root filesystem was found" {
		t.Fatalf("Inspect: got %+v", table)
	}
	if err := os.WriteFile(dir+"/proto", []byte(systemTree().prototype(t, dir)), 0o600); err != nil {
		t.Fatal(err)
	}
	for i, c := range [][]string{{"mkfs.vfat"}, {"mke2fs", "-q", "-F", "-t", "ext4", "-L", "boot"}, {"mkswap", "-L", "SWAP-xvdb1"}, {"mkfs.xfs", "-q", "-L", "root", "-p", dir + "/proto"}} {
		p := table.Partitions[i]
		part := blank(t, p.Size)
		need.Run(t, "", c[0], append(c[1:], part)...)
		copyInto(t, disk, part, p.Start)
	}
	info := inspect(t, openImage(t, path))
	checkSystem(t, info)
	var kinds []string
	for _, p := range info.Partitions {
		if p.Filesystem != nil {
			kinds = append(kinds, p.Filesystem.Type+" "+p.Filesystem.Label)
		}
	}
	if got := strings.Join(kinds, ", "); got != "fat16 , ext4 boot, swap SWAP-xvdb1, xfs root" || info.RootPartition != 4 {
		t.Errorf("%s; root is %d", got, info.RootPartition)
	}
	if len(info.Warnings) > 0 {
		t.Errorf("warnings %q", info.Warnings)
	}
}

// copyInto copies a file to an offset of another, except its zero blocks.
func copyInto(t *testing.T, dst *os.File, name string, at int64) {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	zeros := string(make([]byte, 1<<16))
	for off := 0; off < len(b); off += 1 << 16 {
		piece := b[off:min(off+1<<16, len(b))]
		if string(piece) == zeros[:len(piece)] {
			continue
		}
		if _, err := dst.WriteAt(piece, at+int64(off)); err != nil {
			t.Fatal(err)
		}
	}
}
