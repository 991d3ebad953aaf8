package drawing

import (
	"fmt"
	"strings"
)

// A Kind is the meaning of a part of a drawing, and selects its colour.
type Kind string

// These are the kinds.
const (
	Header     Kind = "header"
	Keyslot    Kind = "keyslot"
	Token      Kind = "token"
	Data       Kind = "data"
	Hole       Kind = "hole"
	Table      Kind = "table" // a format's map from disk to file offsets
	Partition  Kind = "partition"
	Filesystem Kind = "filesystem"
	Snapshot   Kind = "snapshot"
	Packed     Kind = "packed"
	Damaged    Kind = "damaged"
	Service    Kind = "service" // an event reported by a cloud
	Own        Kind = "own"     // an event written by luksimg
)

// colors are the colours of the kinds on light and dark screens, with their names in the legend.
var colors = []struct {
	kind        Kind
	light, dark string
	legend      string
}{
	{Header, "#3b6fd6", "#6f9bf0", "header"},
	{Keyslot, "#c07a1e", "#e0a24e", "key slot"},
	{Token, "#8a5cc7", "#b28fe6", "token"},
	{Table, "#5d6b7a", "#93a1b1", "table"},
	{Data, "#2e8b62", "#4cbb8a", "data"},
	{Hole, "#e4e8ec", "#2c343d", "hole, or not used"},
	{Partition, "#9a6b4f", "#cda184", "partition"},
	{Filesystem, "#1b7f8c", "#4bb9c8", "filesystem"},
	{Snapshot, "#a8507f", "#d98ab4", "snapshot"},
	{Packed, "#7a7f2a", "#b3b85a", "packed"},
	{Damaged, "#c0392b", "#ef7a6d", "damaged"},
	{Service, "#2f86b8", "#5fb3e2", "event of the cloud"},
	{Own, "#8a5cc7", "#b28fe6", "event of luksimg itself"},
}

// style is the style sheet of a drawing.
func style() string {
	var light, dark strings.Builder
	fmt.Fprintf(&light, "text{font:%dpx ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono',monospace;fill:#1c2630}\n", fontSize)
	light.WriteString(".title{font-size:14px;font-weight:bold}.head{font-weight:bold}.soft{fill:#586574}.alarm{fill:#b03024}.inside{fill:#fff;font-weight:bold}\n" +
		".page{fill:#fff}.frame,.axis,.broken{fill:none;stroke:#8794a2}.missing{fill:none;stroke:#c0392b;stroke-dasharray:3 2}.ahead{fill:none;stroke:#8794a2;stroke-dasharray:3 2}\n")
	dark.WriteString("text{fill:#e2e8ee}.soft{fill:#a3afbb}.alarm{fill:#ff9a8c}.inside{fill:#10151a}.page{fill:#151a20}.frame,.axis,.broken{stroke:#7d8a97}.missing{stroke:#ef7a6d}\n")
	for _, c := range colors {
		fmt.Fprintf(&light, ".%s{fill:%s}", c.kind, c.light)
		fmt.Fprintf(&dark, ".%s{fill:%s}", c.kind, c.dark)
	}
	return light.String() + "\n@media (prefers-color-scheme:dark){\n" + dark.String() + "\n}\n"
}
