// Package diskmap prints the extents of a disk as text, as JSON, and as a one-line picture.
package diskmap

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"

	"github.com/luksimg/luksimg/image"
)

// An Extent is a run of the disk. Its fields are named as in the output of qemu-img map.
type Extent struct {
	Start   int64 `json:"start"`
	Length  int64 `json:"length"`
	Present bool  `json:"present"` // allocated in the image
	Zero    bool  `json:"zero"`    // reads as zeros
	Data    bool  `json:"data"`    // holds data
}

// A Map holds the extents of a disk. It walks them once for totals and again for each output, and
// never keeps them all in memory, as there can be any number.
type Map struct {
	ctx     context.Context
	src     image.Source
	picture picture
	extents int64
	offset  int // width of the longest offset, and of the longest length
	length  int
}

// Of walks the extents of a disk and returns its map. Its error is that of the source or the cause
// of ctx.
func Of(ctx context.Context, src image.Source) (*Map, error) {
	m := &Map{ctx: ctx, src: src, picture: newPicture(src.Size(), pictureWidth), offset: len("Offset"), length: len("Length")}
	err := m.each(func(e Extent) error {
		m.picture.add(e)
		m.extents++
		m.offset = max(m.offset, len(base16(e.Start)))
		m.length = max(m.length, len(base16(e.Length)))
		return nil
	})
	return m, err
}

// Shares returns the fraction of data, from 0 to 1, in each of n equal parts of a disk.
func Shares(ctx context.Context, src image.Source, n int) ([]float64, error) {
	p := newPicture(src.Size(), n)
	for e, err := range image.ExtentsContext(ctx, src, 0, src.Size()) {
		if err != nil {
			return nil, err
		}
		p.add(Extent{Start: e.Offset, Length: e.Length, Data: e.Kind == image.Data})
	}
	shares := make([]float64, n)
	for i, data := range p.data {
		start, end := p.part(i)
		shares[i] = min(float64(data)/float64(end-start), 1)
	}
	return shares, nil
}

// Empty reports whether the disk has no extents.
func (m *Map) Empty() bool { return m.extents == 0 }

// Picture shows in one line where the data lies. Each character stands for a part of the disk: # is
// all data, + some data, . none. The parts differ in size by at most a byte.
func (m *Map) Picture() string { return m.picture.String() }

func base16(n int64) string { return fmt.Sprintf("%#x", n) }

// each calls f for each extent.
func (m *Map) each(f func(Extent) error) error {
	for e, err := range image.ExtentsContext(m.ctx, m.src, 0, m.src.Size()) {
		if err == nil {
			err = f(Extent{e.Offset, e.Length, e.Kind != image.Hole, e.Kind != image.Data, e.Kind == image.Data})
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// WriteText writes the map in the format of qemu-img map, without the offsets in the file.
func (m *Map) WriteText(out io.Writer) error {
	const gap = 4
	w := bufio.NewWriter(out)
	fmt.Fprintf(w, "%-*s%-*s%s\n", m.offset+gap, "Offset", m.length+gap, "Length", "Kind")
	err := m.each(func(e Extent) error {
		kind := "data"
		switch {
		case e.Zero && e.Present:
			kind = "zero"
		case e.Zero:
			kind = "hole"
		}
		_, err := fmt.Fprintf(w, "%-*s%-*s%s\n", m.offset+gap, base16(e.Start), m.length+gap, base16(e.Length), kind)
		return err
	})
	if err != nil {
		return err
	}
	return w.Flush()
}

// WriteJSON writes the map as a JSON array.
func (m *Map) WriteJSON(out io.Writer) error {
	w := bufio.NewWriter(out)
	before := "["
	err := m.each(func(e Extent) error {
		b, err := json.MarshalIndent(e, "    ", "  ")
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(w, "%s\n    %s", before, b)
		before = ","
		return err
	})
	if err != nil {
		return err
	}
	w.WriteString("\n  ]")
	return w.Flush()
}

// pictureWidth is the number of characters in a picture.
const pictureWidth = 64

// A picture counts the bytes of data in the part of the disk behind each character.
type picture struct {
	size int64
	data []int64 // bytes, by part
	at   int     // the first part that does not end before the next extent
}

func newPicture(size int64, parts int) picture {
	return picture{size: size, data: make([]int64, parts)}
}

// part returns the start and end of part i of the disk.
func (p *picture) part(i int) (start, end int64) {
	edge := func(i int) int64 { return int64(float64(p.size) / float64(len(p.data)) * float64(i)) }
	start, end = edge(i), max(edge(i+1), edge(i)+1)
	if i == len(p.data)-1 {
		end = max(p.size, start+1)
	}
	return start, end
}

// add adds an extent. Extents must be added in the order of the disk.
func (p *picture) add(e Extent) {
	for i := p.at; i < len(p.data); i++ {
		start, end := p.part(i)
		if end <= e.Start {
			p.at = i + 1
			continue
		}
		if start >= e.Start+e.Length {
			return
		}
		if e.Data {
			p.data[i] += min(end, e.Start+e.Length) - max(start, e.Start)
		}
	}
}

func (p *picture) String() string {
	if p.size == 0 {
		return ""
	}
	line := make([]byte, len(p.data))
	for i, data := range p.data {
		start, end := p.part(i)
		switch {
		case data == 0:
			line[i] = '.'
		case data >= end-start:
			line[i] = '#'
		default:
			line[i] = '+'
		}
	}
	return string(line)
}
