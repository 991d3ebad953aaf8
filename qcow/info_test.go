package qcow

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
)

func TestInfo(t *testing.T) {
	w := img{size: 40_000, kinds: "d", snapshot: true, backing: "base", exts: ext(extBackingFormat, "raw")}.build()
	i, err := open(t, w.file, Options{MetadataOnly: true}).Info(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	i.FileSize, i.Warnings = 0, nil
	got, err := json.Marshal(i)
	if err != nil {
		t.Fatal(err)
	}
	want := `{"version":3,"virtual_size":40000,"allocated_bytes":40000,"file_size":0,"cluster_size":512,"refcount_bits":16,` +
		`"compression_type":"zlib","backing_file":"base","backing_format":"raw","snapshots":[{"id":"1","name":"snap",` +
		`"date":"1970-01-02T00:00:00Z","vm_clock_nsec":0,"vm_state_size":0,"virtual_size":40000}]}`
	if string(got) != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestWarnings(t *testing.T) {
	for text, m := range map[string]img{
		"not closed properly": {size: 512, features: incompatDirty},
		"corrupt":             {size: 512, features: incompatCorrupt},
		"the format of its":   {size: 512, backing: "x"},
		"whole number":        {size: 513},
	} {
		w := m.build()
		i, err := open(t, w.file, Options{MetadataOnly: true}).Info(context.Background())
		if err != nil || len(i.Warnings) != 1 || !strings.Contains(i.Warnings[0], text) {
			t.Errorf("%q, %v, want one that says %q", i.Warnings, err, text)
		}
	}
	w := img{size: 512}.build()
	if i, _ := open(t, w.file, Options{}).Info(context.Background()); len(i.Warnings) != 0 {
		t.Errorf("%q", i.Warnings)
	}
}

func TestFeatures(t *testing.T) {
	w := img{size: 512, features: incompatDirty}.build()
	be.PutUint64(w.file[offCompatible:], compatLazyRefcounts|1<<40)
	i, err := open(t, w.file, Options{}).Info(context.Background())
	if got := strings.Join(i.Features, ", "); err != nil || got != "dirty, lazy refcounts, bit 40" {
		t.Errorf("%q, %v", got, err)
	}
}
