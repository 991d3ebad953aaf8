package main

import (
	"github.com/luksimg/luksimg/cmd/luksimg/internal/talk"
)

func inspectText(name string, i inspectResult) string {
	t := talk.NewTable()
	t.Row("file", "%s", name)
	t.Row("format", "%s", i.Format)
	t.Row("encrypted", "%s", map[bool]string{true: "yes", false: "no"}[i.Encrypted])
	if i.Partition > 0 {
		t.Row("partition", "%d", i.Partition)
		t.Size("partition size", i.FileSize)
	} else {
		t.Size("file size", i.FileSize)
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
