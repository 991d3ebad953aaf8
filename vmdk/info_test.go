package vmdk

import (
	"context"
	"encoding/json"
	"strconv"
	"strings"
	"testing"

	"github.com/luksimg/luksimg/image"
)

// TestInfoJSON pins the JSON names of Info, which are API.
func TestInfoJSON(t *testing.T) {
	m := img{sectors: 1000, grain: 16, version: 2, kinds: "h", unclean: true, parent: "1A", hint: "b\x1b[0m.vmdk", lines: "encoding=\"UTF-8\"\n"}
	d := open(t, m.build().file, Options{MetadataOnly: true})
	i, err := d.Info(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	got, err := json.Marshal(i)
	want := `{"create_type":"monolithicSparse","virtual_size":512000,"allocated_bytes":0,"file_size":13312,"version":2,"grain_size":8192,` +
		`"cid":"fffffffe","parent_cid":"0000001a","parent_file":"b\u001b[0m.vmdk","adapter_type":"ide","hw_version":"4","encoding":"UTF-8",` +
		`"extents":[{"access":"RW","type":"SPARSE","file":"disk.vmdk","size":512000}],` +
		`"warnings":["the disk was not closed properly: the latest writes can be missing"]}`
	if err != nil || string(got) != want {
		t.Errorf("%s, %v\nwant %s", got, err, want)
	}
	r, err := d.Check(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	got, err = json.Marshal(r)
	want = `{"corruptions":0,"total_grains":63,"allocated_grains":0,"compressed_grains":0}`
	if err != nil || string(got) != want {
		t.Errorf("%s, %v\nwant %s", got, err, want)
	}
}

// TestManyExtents checks that the number of warnings is limited, however many files have an oddity.
func TestManyExtents(t *testing.T) {
	file := img{sectors: 8, grain: 8, bare: true, unclean: true, kinds: "-"}.build().file
	var text strings.Builder
	text.WriteString("version=1\nCID=1\n")
	for i := range maxExtents {
		text.WriteString("RW 8 SPARSE \"" + strings.Repeat("x", i%100) + strconv.Itoa(i/100) + "\"\n")
	}
	n := 0
	d := open(t, []byte(text.String()), Options{Resolve: func(image.Ref) (image.Source, error) {
		n++
		return strings.NewReader(string(file)), nil
	}})
	if d.Size() != 8*sectorSize*maxExtents || n != maxExtents || len(d.Warnings()) != maxWarnings {
		t.Errorf("%d bytes, %d files, %d warnings", d.Size(), n, len(d.Warnings()))
	}
	i, err := d.Info(context.Background())
	if err != nil || len(i.Extents) != maxExtents || i.AllocatedBytes != 0 {
		t.Errorf("%d extents, %v", len(i.Extents), err)
	}
	p := make([]byte, d.Size())
	if _, err := d.ReadAt(p, 0); err != nil {
		t.Error(err)
	}
}
