package main

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/luksimg/luksimg/cmd/luksimg/internal/talk"
	"github.com/luksimg/luksimg/contents"
	"github.com/luksimg/luksimg/internal/term"
)

func inspectText(name string, i inspectResult) string {
	t := talk.NewTable()
	t.Row("file", "%s", name)
	t.Row("format", "%s", i.Format)
	t.Row("encrypted", "%s", map[bool]string{true: "yes", false: "no"}[i.Encrypted])
	t.Size("file size", i.FileSize)
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
		showContents(t, i.Contents)
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

// showContents shows what is on the disk.
func showContents(t *talk.Table, c *contents.Info) {
	show := func(f *contents.Filesystem) string {
		if f == nil {
			return ""
		}
		text := ", " + f.Type
		if f.Label != "" {
			text += fmt.Sprintf(" %q", f.Label)
		}
		return text
	}
	for _, p := range c.Partitions {
		t.Row(fmt.Sprintf("partition %d", p.Number), "%s at %d, %s%s", term.Bytes(p.Size), p.Start, p.Type, show(p.Filesystem))
	}
	if c.Filesystem != nil {
		t.Row("filesystem", "%s", strings.TrimPrefix(show(c.Filesystem), ", "))
	}
	if c.OS != nil {
		t.Row("system", "%s", cmp.Or(c.OS.Name, c.OS.ID+" "+c.OS.Version))
	}
	if len(c.Partitions) > 0 || c.Filesystem != nil {
		reason := ""
		if c.CloudInitReason != "" {
			reason = ": " + c.CloudInitReason
		}
		t.Row("cloud-init", "%s%s", c.CloudInit, reason)
	}
	for _, w := range c.Warnings {
		t.Row("  note", "%s", w)
	}
}
