package contents

import (
	"cmp"
	"fmt"
	"iter"
	"strings"

	"github.com/luksimg/luksimg/internal/size"
)

// Fields yields the content of the disk for display: the name of each field and its value. Values
// contain text from the disk unchanged, except in quotation marks, where it is escaped as in Go.
func (i *Info) Fields() iter.Seq2[string, string] {
	return func(yield func(name, value string) bool) {
		more := true
		row := func(name, format string, args ...any) {
			more = more && yield(name, fmt.Sprintf(format, args...))
		}
		for _, p := range i.Partitions {
			what := p.Type
			if p.Filesystem != nil {
				what += ", " + p.Filesystem.text()
			}
			row(fmt.Sprintf("partition %d", p.Number), "%s at %d, %s", size.Text(p.Size), p.Start, what)
		}
		if i.Filesystem != nil {
			row("filesystem", "%s", i.Filesystem.text())
		}
		if i.OS != nil {
			row("system", "%s", cmp.Or(i.OS.Name, strings.TrimSpace(i.OS.ID+" "+i.OS.Version)))
		}
		if len(i.Partitions) > 0 || i.Filesystem != nil {
			reason := ""
			if i.CloudInitReason != "" {
				reason = ": " + i.CloudInitReason
			}
			row("cloud-init", "%s%s", i.CloudInit, reason)
		}
		for _, w := range i.Warnings {
			row("  note", "%s", w)
		}
	}
}

func (f *Filesystem) text() string {
	text := f.Type
	if f.Label != "" {
		text += fmt.Sprintf(" %q", f.Label)
	}
	if f.Encrypted() && f.UUID != "" {
		text += fmt.Sprintf(", UUID %q", f.UUID)
	}
	return text
}
