// Package picture draws the results of inspect and audit.
package picture

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/luksimg/luksimg"
	"github.com/luksimg/luksimg/contents"
	"github.com/luksimg/luksimg/internal/drawing"
	"github.com/luksimg/luksimg/luks"
	"github.com/luksimg/luksimg/qcow"
)

// An Image holds the data for the drawing of a disk image.
type Image struct {
	Name     string
	Info     *luksimg.Info
	Contents *contents.Info // nil if the disk cannot be read
	Density  []float64      // of the disk; nil if it cannot be read
}

// Draw draws the layout of an image: its compression or archive, the file, and the disk.
func (i Image) Draw() []byte {
	n := i.Info
	lines := []string{string(n.Format)}
	if n.Encrypted {
		lines[0] += ", encrypted"
	}
	if c := i.Contents; c != nil && c.OS != nil {
		lines = append(lines, cmp.Or(c.OS.Name, c.OS.ID))
	}
	strips := i.packed()
	switch {
	case n.Archive != nil && n.Archive.Member == "" && n.VirtualSize == 0: // an archive with several disks
	case n.LUKS != nil:
		strips = append(strips, i.luks())
	case n.Format != luksimg.Raw:
		strips = append(strips, i.container())
	}
	if i.Contents != nil || i.Density != nil || n.Format == luksimg.Raw {
		strips = append(strips, i.disk())
	}
	return drawing.Strips(i.Name, lines, strips)
}

// fileSize returns the size of the image itself, after unpacking.
func (i Image) fileSize() int64 { return cmp.Or(i.Info.UnpackedSize, i.Info.FileSize) }

// packed draws the packed file, and lists the disks of an archive. It returns nil if the image is not packed.
func (i Image) packed() []drawing.Strip {
	n := i.Info
	if len(n.Layers) == 0 {
		return nil
	}
	s := drawing.Strip{Title: "file: " + strings.Join(n.Layers, " > "), Size: n.FileSize}
	s.Spans = []drawing.Span{{Kind: drawing.Packed, Name: n.Layers[0], Size: n.FileSize}}
	if n.Archive == nil {
		return []drawing.Strip{s}
	}
	for _, d := range n.Archive.Disks {
		p := drawing.Span{Kind: drawing.Data, Name: "disk " + d.Name, Size: d.Size}
		switch {
		case d.Problem != "":
			p.Kind = drawing.Damaged
		case d.Name == n.Archive.Member:
			p.Name += ", drawn here"
		}
		s.Loose = append(s.Loose, p)
	}
	return []drawing.Strip{s}
}

// luks draws a LUKS image.
func (i Image) luks() drawing.Strip {
	l, size := i.Info.LUKS, i.fileSize()
	s := drawing.Strip{Title: fmt.Sprintf("file: LUKS%d", l.Version), Size: size}
	add := func(k drawing.Kind, off, n int64, format string, args ...any) {
		s.Spans = append(s.Spans, drawing.Span{Kind: k, Name: fmt.Sprintf(format, args...), Offset: off, Size: n})
	}
	if l.Version == 1 {
		add(drawing.Header, 0, luks1Header, "header")
	} else {
		for c, name := range []string{"primary", "secondary"} {
			k, what := drawing.Header, "header"
			if slices.Contains(l.Unfit, name) {
				k, what = drawing.Damaged, "unfit header"
			}
			add(k, int64(c)*l.MetadataSize, l.MetadataSize, "%s, %s copy", what, name)
		}
	}
	for _, k := range l.Keyslots {
		kind := drawing.Keyslot
		if k.Problem != "" {
			kind = drawing.Damaged
		}
		add(kind, k.Offset, k.Size, "key slot %d, %s", k.Slot, cmp.Or(k.Type, k.KDF))
	}
	i.segments(l, add)
	for _, t := range l.Tokens {
		name := fmt.Sprintf("token %d, %s", t.Number, t)
		s.Loose = append(s.Loose, drawing.Span{Kind: drawing.Token, Name: name})
	}
	return s
}

// luks1Header is the size of a LUKS1 header in bytes: LUKS1 specification, section 2.3.
const luks1Header = 592

// segments adds the data areas.
func (i Image) segments(l *luks.Info, add func(k drawing.Kind, off, n int64, format string, args ...any)) {
	end := i.fileSize()
	if len(l.Segments) == 0 {
		if l.DataOffset > 0 {
			add(drawing.Data, l.DataOffset, cmp.Or(l.DataSize, end-l.DataOffset), "data, %s", l.Cipher)
		}
		return
	}
	for _, g := range l.Segments {
		add(drawing.Data, g.Offset, cmp.Or(g.Size, end-g.Offset), "segment %d, %s", g.Segment, cmp.Or(g.Cipher, "not encrypted"))
	}
}

// container draws an image of a format with allocation tables.
func (i Image) container() drawing.Strip {
	n := i.Info
	s := drawing.Strip{Title: "file: " + string(n.Format), Size: i.fileSize(), Rest: drawing.Data}
	if n.VirtualSize > 0 && n.DataSize == 0 {
		s.Rest = drawing.Hole
	}
	for _, r := range n.Regions {
		k := drawing.Table
		if strings.Contains(r.Name, "header") || strings.Contains(r.Name, "foot") || strings.Contains(r.Name, "descriptor") {
			k = drawing.Header
		}
		s.Spans = append(s.Spans, drawing.Span{Kind: k, Name: strings.TrimPrefix(r.Name, "the "), Offset: r.Offset, Size: r.Length})
	}
	s.Loose = i.others()
	return s
}

// others returns the parts of a container that have no single place in the file.
func (i Image) others() []drawing.Span {
	var all []drawing.Span
	n := i.Info
	if n.QCOW != nil {
		for _, p := range n.QCOW.Snapshots {
			all = append(all, drawing.Span{Kind: drawing.Snapshot, Name: snapshotName(p), Size: p.VirtualSize})
		}
		if n.QCOW.BackingFile != "" {
			all = append(all, drawing.Span{Kind: drawing.Table, Name: "backing file " + n.QCOW.BackingFile})
		}
		if n.QCOW.ExternalData {
			all = append(all, drawing.Span{Kind: drawing.Data, Name: "data file " + n.QCOW.DataFile})
		}
	}
	if n.VMDK != nil {
		for _, e := range n.VMDK.Extents {
			if e.File != "" {
				all = append(all, drawing.Span{Kind: drawing.Data, Name: "extent " + e.File, Size: e.Size})
			}
		}
	}
	return all
}

func snapshotName(s qcow.Snapshot) string {
	return strings.TrimSpace(fmt.Sprintf("snapshot %s %s %s", s.ID, s.Date.UTC().Format("2006-01-02"), s.Name))
}

// disk draws the disk as its guest sees it.
func (i Image) disk() drawing.Strip {
	s := drawing.Strip{Title: "disk", Size: i.Info.VirtualSize, Density: i.Density}
	c := i.Contents
	if c == nil {
		return s
	}
	if c.PartitionTable != contents.NoTable && c.PartitionTable != "" {
		s.Title += ": " + strings.ToUpper(c.PartitionTable)
	}
	if f := c.Filesystem; f != nil {
		s.Spans = append(s.Spans, drawing.Span{Kind: drawing.Filesystem, Name: filesystem(f), Size: s.Size})
	}
	for _, p := range c.Partitions {
		k, name := drawing.Partition, p.Type
		if p.Filesystem != nil {
			k, name = drawing.Filesystem, filesystem(p.Filesystem)
		}
		if p.Name != "" && (p.Filesystem == nil || p.Name != p.Filesystem.Label) {
			name += " " + p.Name
		}
		if p.Number == c.RootPartition {
			name += " (/)"
		}
		s.Spans = append(s.Spans, drawing.Span{Kind: k, Name: fmt.Sprintf("%d: %s", p.Number, name), Offset: p.Start, Size: p.Size})
	}
	return s
}

func filesystem(f *contents.Filesystem) string {
	return strings.TrimSpace(f.Type + " " + f.Label)
}
