package vmdk

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/luksimg/luksimg/image"
	"github.com/luksimg/luksimg/internal/imagetest"
)

// TestRefuseDescriptor checks the errors for malformed descriptors. line puts a malformed line into a valid
// descriptor.
func TestRefuseDescriptor(t *testing.T) {
	const head = "# Disk DescriptorFile\nversion=1\nCID=1\nparentCID=ffffffff\ncreateType=\"custom\"\n"
	const good = head + "RW 10 FLAT \"flat\" 0\n"
	n := int64(len(head))
	sparse := img{sectors: 1000, bare: true}.build().file
	cowd := append([]byte("COWD"), make([]byte, 2000)...)
	files := map[string][]byte{"flat": imagetest.Noise(10*sectorSize, 1), "sparse": sparse, "cowd": cowd, "text": []byte(good), "tiny": []byte("KDMV"), "none": nil,
		"half": sparse[:len(sparse)/2&^511], "se": append([]byte(magicSESparse), make([]byte, 600)...)}
	line := func(l string) string { return head + l + "\n" }
	all := []struct {
		name, text, field string
		offset            int64
		message           string
	}{
		{"no extent", head, "descriptor extent", n, "at least one"},
		{"no version", "# Disk DescriptorFile\nCID=1\nRW 10 FLAT \"flat\" 0\n", "descriptor version", -1, "want a version"},
		{"version 0", "# Disk DescriptorFile\nversion=0\nRW 10 FLAT \"flat\" 0\n", "descriptor version", -1, "1 to 4"},
		{"version 5", "version=5\nRW 10 FLAT \"flat\" 0\n", "", -1, "version 5"},
		{"version x", "# Disk DescriptorFile\nversion=x\nRW 10 FLAT \"flat\" 0\n", "descriptor version", -1, "1 to 4"},
		{"version -1", "# Disk DescriptorFile\nversion=-1\nRW 10 FLAT \"flat\" 0\n", "descriptor version", -1, "1 to 4"},
		{"version 2^32", "# Disk DescriptorFile\nversion=4294967296\nRW 10 FLAT \"flat\" 0\n", "descriptor version", -1, "1 to 4"},
		{"two versions", good + "version=2\n", "descriptor version", int64(len(good)), "as before"},
		{"two CIDs", good + "CID=2\n", "descriptor CID", int64(len(good)), "as before"},
		{"two parentCIDs", good + "parentCID=2\n", "descriptor parentCID", int64(len(good)), "as before"},
		{"two createTypes", good + "createType=\"x\"\n", "descriptor createType", int64(len(good)), "as before"},
		{"CID of no number", "version=1\nCID=xyz\n", "descriptor CID", 10, "hexadecimal"},
		{"CID of 33 bits", "version=1\nCID=100000000\n", "descriptor CID", 10, "32 bits"},
		{"CID empty", "version=1\nCID=\n", "descriptor CID", 10, "hexadecimal"},
		{"CID negative", "version=1\nCID=-1\n", "descriptor CID", 10, "hexadecimal"},
		{"parentCID of no number", "version=1\nparentCID=none\n", "descriptor parentCID", 10, "hexadecimal"},
		{"line without =", good + "hello world\n", "descriptor line", int64(len(good)), "hello world"},
		{"binary line", good + "\x01\x02\xff\n", "descriptor line", int64(len(good)), `\x01\x02\xff`},
		{"something after a NUL", good + "\x00\x00RW 10 ZERO\n", "descriptor line", int64(len(good)) + 1, "after a NUL"},
		{"extents after a NUL", good + "\x00\n\x00\nRDONLY 10 ZERO\x00\n", "descriptor line", int64(len(good)) + 4, "after a NUL"},
		{"lower case access", line("rw 10 FLAT \"flat\" 0"), "descriptor line", n, "="},
		{"no size", line("RW"), "descriptor extent size", n, "sectors"},
		{"size 0", line("RW 0 FLAT \"flat\" 0"), "descriptor extent size", n, "from 1"},
		{"size -1", line("RW -1 FLAT \"flat\" 0"), "descriptor extent size", n, "from 1"},
		{"size +1", line("RW +1 FLAT \"flat\" 0"), "descriptor extent size", n, "from 1"},
		{"size 0x10", line("RW 0x10 FLAT \"flat\" 0"), "descriptor extent size", n, "from 1"},
		{"size 2^54", line(fmt.Sprintf("RW %d ZERO", int64(1<<54))), "descriptor extent size", n, "from 1"},
		{"size 2^63", line("RW 9223372036854775808 ZERO"), "descriptor extent size", n, "from 1"},
		{"size 2^64", line("RW 18446744073709551616 ZERO"), "descriptor extent size", n, "from 1"},
		{"size 10^40", line("RW 1" + strings.Repeat("0", 40) + " ZERO"), "descriptor extent size", n, "from 1"},
		{"sizes too large in all", line(fmt.Sprintf("RW %d ZERO\nRW %d ZERO", int64(maxSectors), int64(1))), "descriptor extent size", -1, "in all"},
		{"no type", line("RW 10"), "descriptor extent type", n, "FLAT"},
		{"another type", line("RW 10 LUMPY \"flat\" 0"), "descriptor extent type", n, "FLAT"},
		{"lower case type", line("RW 10 flat \"flat\" 0"), "descriptor extent type", n, "FLAT"},
		{"VMFSSPARSE", line("RW 10 VMFSSPARSE \"flat\""), "", -1, "VMFSSPARSE"},
		{"SESPARSE", line("RW 10 SESPARSE \"flat\""), "", -1, "SESPARSE"},
		{"VMFSRDM", line("RW 10 VMFSRDM \"/dev/sda\""), "", -1, "VMFSRDM"},
		{"VMFSRAW", line("RW 10 VMFSRAW \"/dev/sda\""), "", -1, "VMFSRAW"},
		{"fullDevice", "version=1\ncreateType=\"fullDevice\"\nRW 10 FLAT \"/dev/sda\" 0\n", "", -1, "fullDevice"},
		{"partitionedDevice", "version=1\ncreateType=\"partitionedDevice\"\nRW 10 FLAT \"/dev/sda\" 0\n", "", -1, "partitionedDevice"},
		{"vmfsRawDeviceMap", "version=1\ncreateType=\"vmfsRawDeviceMap\"\nRW 10 FLAT \"flat\" 0\n", "", -1, "vmfsRawDeviceMap"},
		{"encrypted", "version=1\nencryption.keySafe = \"vmware:key/list\"\nRW 10 FLAT \"flat\" 0\n", "", -1, "encrypted"},
		{"no name", line("RW 10 FLAT"), "descriptor extent file", n, "double quotes"},
		{"empty name", line("RW 10 FLAT \"\" 0"), "descriptor extent file", n, "double quotes"},
		{"name without quotes", line("RW 10 FLAT flat 0"), "descriptor extent file", n, "double quotes"},
		{"name without an end", line("RW 10 FLAT \"flat 0"), "descriptor extent file", n, "double quotes"},
		{"name over two lines", line("RW 10 FLAT \"fl\nat\" 0"), "descriptor extent file", n, "double quotes"},
		{"offset of no number", line("RW 10 FLAT \"flat\" x"), "descriptor extent offset", n, "sectors"},
		{"offset -1", line("RW 10 FLAT \"flat\" -1"), "descriptor extent offset", n, "sectors"},
		{"offset 1", line("RW 10 FLAT \"flat\" 1"), "descriptor extent size", n, "truncated"},
		{"offset 2^54-1", line("RW 10 FLAT \"flat\" 18014398509481983"), "descriptor extent offset", n, "sectors"},
		{"offset past the file", line("RW 10 FLAT \"flat\" 100"), "descriptor extent size", n, "truncated"},
		{"offset 2^64", line("RW 10 FLAT \"flat\" 18446744073709551616"), "descriptor extent offset", n, "sectors"},
		{"file too small", line("RW 11 FLAT \"flat\" 0"), "descriptor extent size", n, "5120 bytes"},
		{"file empty", line("RW 1 FLAT \"none\" 0"), "descriptor extent size", n, "0 bytes"},
		{"sparse with an offset", line("RW 1000 SPARSE \"sparse\" 1"), "descriptor extent offset", n, "no offset"},
		{"sparse of another size", line("RW 1001 SPARSE \"sparse\""), "capacity", offCapacity, "1001 sectors"},
		{"sparse of far less", line("RW 100 SPARSE \"sparse\""), "capacity", offCapacity, "100 sectors"},
		{"sparse that is flat", line("RW 10 SPARSE \"flat\""), "magicNumber", 0, "flat"},
		{"sparse that is COWD", line("RW 10 SPARSE \"cowd\""), "", -1, "COWD"},
		{"sparse that is SESPARSE", line("RW 10 SPARSE \"se\""), "", -1, "SESPARSE"},
		{"sparse that is a descriptor", line("RW 10 SPARSE \"text\""), "magicNumber", 0, "text"},
		{"sparse that is too short", line("RW 10 SPARSE \"tiny\""), "file size", 0, "tiny"},
		{"sparse that is empty", line("RW 10 SPARSE \"none\""), "file size", 0, "none"},
		{"sparse that is cut", line("RW 1000 SPARSE \"half\""), "grain table entry", -1, "half"},
		{"sparse twice", line("RW 1000 SPARSE \"sparse\"\nRW 1000 SPARSE \"sparse\""), "descriptor extent file", n + 24, "no other extent"},
		{"sparse and flat", line("RW 10 FLAT \"sparse\" 0\nRW 1000 SPARSE \"sparse\""), "descriptor extent file", -1, "no other extent"},
		{"NOACCESS", line("NOACCESS 10 FLAT \"flat\" 0"), "", -1, "NOACCESS"},
		{"a descriptor of more than 1 MiB", good + strings.Repeat("#\n", maxDescriptor/2), "file size", 0, "at most"},
		{"too many lines", good + strings.Repeat("\n", maxLines), "descriptor line", -1, "at most"},
		{"too many extents", head + strings.Repeat("RW 1 ZERO\n", maxExtents+1), "descriptor extent", -1, "at most"},
		{"a long line", good + strings.Repeat("x", 500_000), "descriptor line", int64(len(good)), "..."},
	}
	if len(all) < 60 {
		t.Errorf("%d texts", len(all))
	}
	for _, c := range all {
		t.Run(c.name, func(t *testing.T) {
			check(t, refusal{field: c.field, offset: c.offset, text: c.message}, []byte(c.text), files)
		})
	}
	for _, c := range []struct{ name, from, to, field, text string }{
		{"embedded of two extents", "RW 1000", "RW 1 ZERO\nRW 1000", "", "2 extents"},
		{"embedded without extents", "RW 1000", "# ", "descriptor extent", "at least one"},
		{"embedded flat", "SPARSE", "FLAT", "descriptor extent", "SPARSE"},
		{"embedded zero", "SPARSE", "ZERO", "descriptor extent", "SPARSE"},
		{"embedded VMFSSPARSE", "SPARSE", "VMFSSPARSE", "", "VMFSSPARSE"},
		{"embedded NOACCESS", "RW 1000", "NOACCESS 1000", "", "NOACCESS"},
		{"embedded larger", "RW 1000", "RW 1008", "capacity", "1008"},
		{"embedded nonsense", "version=1", "\xff\xfe", "descriptor line", "="},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := small.build()
			replaced(c.from, c.to)(w)
			check(t, refusal{field: c.field, offset: -1, text: c.text}, w.file, nil)
		})
	}
}

// TestNames checks that names in a descriptor reach the resolver unchanged, and nothing else.
func TestNames(t *testing.T) {
	for _, name := range []string{"../../../etc/passwd", "/dev/sda", `C:\Windows\System32\config\SAM`, `\\server\share\x`, "http://169.254.169.254/latest", "x\xff\xfe\x01",
		"-rf", "json:{}", "a b", "\t", strings.Repeat("x", 100_000)} {
		text := "version=1\nCID=1\nparentCID=2\nparentFileNameHint=\"" + name + "\"\nRW 1 FLAT \"" + name + "\" 0\n"
		var asked []image.Ref
		d := open(t, []byte(text), Options{Resolve: memory(map[string][]byte{name: imagetest.Noise(sectorSize, 1)}, &asked)})
		if len(asked) != 2 || asked[0].Name() != name || asked[0].What == "parent disk" || asked[1].Name() != name || asked[1].What != "parent disk" {
			t.Errorf("%.20q: resolved %.100q", name, fmt.Sprint(asked))
		}
		if _, err := d.ReadAt(make([]byte, sectorSize), 0); err != nil {
			t.Error(err)
		}
		if _, err := Open(context.Background(), strings.NewReader(text), int64(len(text)), Options{}); err == nil || len(err.Error()) > 500 || strings.ContainsAny(err.Error(), "\x01\t") || strings.Contains(err.Error(), "\xff") {
			t.Errorf("%.20q: %v", name, err)
		}
	}
}
