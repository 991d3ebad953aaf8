package luks

import (
	"bytes"
	"testing"

	file "github.com/luksimg/luksimg/internal/signature"
)

// TestSignatures puts each signature into an otherwise empty file.
func TestSignatures(t *testing.T) {
	find := func(b []byte) string {
		name, _, err := foreignSignature(bytes.NewReader(b), int64(len(b)))
		if err != nil {
			t.Fatal(err)
		}
		return name
	}
	if name := find(make([]byte, 1<<20)); name != "" {
		t.Errorf("an empty file is %s", name)
	}
	if name := find(nil); name != "" {
		t.Errorf("a file of no bytes is %s", name)
	}
	all := signatures
	for page := int64(4096); page <= 65536; page *= 2 {
		for _, m := range swapMarks {
			all = append(all, signature{"a swap area", page - 10, m})
		}
	}
	all = append(all, signature{"a ZFS pool", 128<<10 + 7*1024, "\x0c\xb1\xba\x00\x00\x00\x00\x00"},
		signature{"an MBR partition table", 450, "\x83" + string(make([]byte, 59)) + "\x55\xaa"})
	for _, s := range file.All { // signatures without further checks are enough here
		if s.At == 0 && !s.Text && !s.Weak && len(s.Magic) >= 6 {
			all = append(all, signature{s.Name, 0, s.Magic})
		}
	}
	for _, s := range all {
		b := make([]byte, 1<<20)
		copy(b[s.offset:], s.bytes)
		if name := find(b); name != s.name {
			t.Errorf("%q at %d is %q, want %s", s.bytes, s.offset, name, s.name)
		}
		if name := find(b[:s.offset]); s.offset > 0 && name == s.name {
			t.Errorf("a file that ends before %q at %d is %s", s.bytes, s.offset, s.name)
		}
	}
	b := make([]byte, 512)
	copy(b[510:], "\x55\xaa")
	if name := find(b); name != "" {
		t.Errorf("a boot sector without partitions is %s", name)
	}
}
