package luksimg

import (
	"bytes"
	"strings"
	"testing"

	"github.com/luksimg/luksimg/internal/golden"
)

// TestRegions checks that each format reports its headers and tables, within the file and without
// overlap.
func TestRegions(t *testing.T) {
	for file, want := range map[string][]string{
		"vhd/fixed-64k.vhd":   {"the footer"},
		"vhd/dynamic-5m.vhd":  {"the footer copy", "the dynamic disk header", "the block allocation table", "the footer"},
		"vhdx/dynamic.vhdx":   {"the header section", "the log", "the block allocation table", "the metadata region"},
		"vmdk/sparse.vmdk":    {"the header", "the descriptor", "the grain directory", "the redundant grain directory"},
		"vmdk/stream.vmdk":    {"the header", "the descriptor", "the grain directory"},
		"vmdk/split.vmdk":     {},
		"vdi/dynamic.vdi":     {"the header", "the block map"},
		"qcow/v2.qcow2":       {"the header", "the refcount table", "the L1 table"},
		"qcow/snap.qcow2":     {"the header", "the refcount table", "the L1 table", "the snapshot table"},
		"contents/gpt.img":    {},
		"contents/ext4.img":   {},
		"vhdx/log.vhdx":       {"the log"},
		"qcow/zlib.qcow2":     {"the L1 table"},
		"vhd/dynamic-chs.vhd": {"the footer copy"},
	} {
		b := golden.Read("testdata/" + file + ".gz")
		i, err := Inspect(t.Context(), bytes.NewReader(b), int64(len(b)), ImageOptions{})
		if err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		var names []string
		for k, r := range i.Regions {
			names = append(names, r.Name)
			if r.Offset < 0 || r.Length <= 0 || r.Offset+r.Length > int64(len(b)) {
				t.Errorf("%s: %s has %d bytes at %d, the file has %d", file, r.Name, r.Length, r.Offset, len(b))
			}
			for _, o := range i.Regions[:k] {
				if r.Offset < o.Offset+o.Length && o.Offset < r.Offset+r.Length {
					t.Errorf("%s: %s overlaps %s", file, r.Name, o.Name)
				}
			}
		}
		for _, name := range want {
			if !strings.Contains(strings.Join(names, ";")+";", name+";") {
				t.Errorf("%s: no %s in %q", file, name, names)
			}
		}
		if len(want) == 0 && len(names) > 0 {
			t.Errorf("%s: %q", file, names)
		}
	}
}
