package main

import (
	"cmp"
	"fmt"
	"iter"
	"strings"
	"text/tabwriter"

	"github.com/luksimg/luksimg/contents"
	"github.com/luksimg/luksimg/internal/term"
)

// A table is lines of "name: value", aligned.
type table struct {
	strings.Builder
	w *tabwriter.Writer
}

func newTable() *table {
	t := &table{}
	t.w = tabwriter.NewWriter(&t.Builder, 0, 0, 2, ' ', 0)
	return t
}

func (t *table) row(name, format string, args ...any) {
	fmt.Fprintf(t.w, "%s:\t%s\n", term.Visible(name), term.Visible(fmt.Sprintf(format, args...)))
}

func (t *table) size(name string, n int64) { t.row(name, "%d bytes (%s)", n, term.Bytes(n)) }

// rows adds a line for each field.
func (t *table) rows(fields iter.Seq2[string, string]) {
	for name, value := range fields {
		t.row(name, "%s", value)
	}
}

// text returns the lines, or none if there are none.
func (t *table) text(none string) string {
	t.w.Flush()
	return strings.TrimSuffix(cmp.Or(t.String(), none), "\n")
}

func inspectText(name string, i inspectResult) string {
	t := newTable()
	t.row("file", "%s", name)
	t.row("format", "%s", i.Format)
	t.row("encrypted", "%s", map[bool]string{true: "yes", false: "no"}[i.Encrypted])
	t.size("file size", i.FileSize)
	t.size("virtual size", i.VirtualSize)
	t.size("data size", i.DataSize)
	if i.PartitionTable != "" {
		t.row("partition table", "%s", i.PartitionTable)
	}
	t.rows(i.Fields())
	if i.Manifest != nil {
		t.rows(i.Manifest.Fields())
	}
	if i.Contents != nil {
		t.contents(i.Contents)
	}
	if i.Check != nil {
		t.row("check", "%d corruptions, %d leaks", i.Check.Corruptions, i.Check.Leaks)
		for _, p := range i.Check.Problems {
			t.row("  problem", "%s", p)
		}
	}
	for _, n := range i.Notes {
		t.row("note", "%s", n)
	}
	if i.Map != nil {
		t.row("map", "%s", &i.Map.picture)
	}
	return t.text("")
}

// contents shows what is on the disk.
func (t *table) contents(c *contents.Info) {
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
		t.row(fmt.Sprintf("partition %d", p.Number), "%s at %d, %s%s", term.Bytes(p.Size), p.Start, p.Type, show(p.Filesystem))
	}
	if c.Filesystem != nil {
		t.row("filesystem", "%s", strings.TrimPrefix(show(c.Filesystem), ", "))
	}
	if c.OS != nil {
		t.row("system", "%s", cmp.Or(c.OS.Name, c.OS.ID+" "+c.OS.Version))
	}
	if len(c.Partitions) > 0 || c.Filesystem != nil {
		reason := ""
		if c.CloudInitReason != "" {
			reason = ": " + c.CloudInitReason
		}
		t.row("cloud-init", "%s%s", c.CloudInit, reason)
	}
	for _, w := range c.Warnings {
		t.row("  note", "%s", w)
	}
}
