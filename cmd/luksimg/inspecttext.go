package main

import (
	"slices"
	"strings"

	"github.com/luksimg/luksimg/cmd/luksimg/internal/talk"
)

func inspectText(name string, i inspectResult) string {
	t := talk.NewTable()
	t.Row("file", "%s", name)
	t.Row("format", "%s", i.Format)
	if len(i.Info.Layers) > 0 && string(i.Format) == i.Info.Layers[len(i.Info.Layers)-1] { // an archive with several disks
		t.Size("file size", i.FileSize)
		t.Rows(i.Fields())
		return t.Text("")
	}
	t.Row("encrypted", "%s", map[bool]string{true: "yes", false: "no"}[i.Encrypted])
	if i.Partition > 0 {
		t.Row("partition", "%d", i.Partition)
		t.Size("partition size", i.FileSize)
	} else {
		t.Size("file size", i.FileSize)
	}
	if i.UnpackedSize > 0 {
		t.Size("unpacked size", i.UnpackedSize)
	}
	t.Size("virtual size", i.VirtualSize)
	t.Size("data size", i.DataSize)
	if i.PartitionTable != "" {
		t.Row("partition table", "%s", i.PartitionTable)
	}
	t.Rows(i.Fields())
	if i.Manifest != nil {
		t.Rows(i.Manifest.Fields())
	}
	if i.Contents != nil {
		t.Rows(i.Contents.Fields())
	}
	if len(i.Layers) > 1 {
		t.Row("layers", "%s", strings.Join(i.Layers, " > "))
	}
	if i.Check != nil {
		t.Row("check", "%d corruptions, %d leaks", i.Check.Corruptions, i.Check.Leaks)
		for _, p := range i.Check.Problems {
			t.Row("  problem", "%s", p)
		}
	}
	for _, n := range i.Notes {
		t.Row("note", "%s", n)
	}
	if i.Map != nil {
		t.Row("map", "%s", i.Map.Picture())
	}
	return t.Text("")
}

// layersOf lists the layers from the outside in: compression and archives, the image format, the partition table and
// a filesystem. The filesystem holds the root of the system, or is the only one.
func layersOf(r inspectResult) []string {
	all := append(slices.Clone(r.Info.Layers), string(r.Format))
	c := r.Contents
	if c == nil {
		return all
	}
	if c.PartitionTable == "gpt" || c.PartitionTable == "mbr" {
		all = append(all, strings.ToUpper(c.PartitionTable))
	}
	fs, several := c.Filesystem, false
	for _, p := range c.Partitions {
		switch {
		case p.Filesystem == nil:
		case p.Number == c.RootPartition:
			return append(all, p.Filesystem.Type)
		default:
			several = several || fs != nil
			fs = p.Filesystem
		}
	}
	if fs != nil && !several {
		all = append(all, fs.Type)
	}
	return all
}
