// Package diskmap lists the extents of a disk, as text, as JSON, and as a picture in one line.
package diskmap

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"

	"github.com/luksimg/luksimg/image"
)

// An Extent is a run of the disk, with the names of qemu-img map.
type Extent struct {
	Start   int64 `json:"start"`
	Length  int64 `json:"length"`
	Present bool  `json:"present"` // the image has room for it
	Zero    bool  `json:"zero"`    // it reads as zeros
	Data    bool  `json:"data"`    // it must be read to be known
}

// A Map is the extents of a disk. There may be any number of them: they are gone through
// once to know what is to be said of all, and again to be printed, and are never all in memory.
type Map struct {
	ctx     context.Context
	src     image.Source
	picture picture
	extents int64
	offset  int // the width of the longest offset, and of the longest length
	length  int
}

// Of goes through the extents of a disk.
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

// Shares returns how much of each of n equal parts of a disk is data, from 0 to 1.
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

// Empty tells whether the disk has no extents.
func (m *Map) Empty() bool { return m.extents == 0 }

// Picture draws where the data lie, in one line: # all data, + some, . none. A character stands for
// a part of the disk; the parts may differ by a byte.
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

// WriteText writes the map as qemu-img map prints it, but for where in the file things are.
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

// WriteJSON writes the map as an array, which is a member of an object.
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

// pictureWidth is how many characters the picture of a disk has.
const pictureWidth = 64

// A picture counts the data in the parts of a disk that a character stands for.
type picture struct {
	size int64
	data []int64 // bytes, by part
	at   int     // the first part that does not end before the next extent
}

func newPicture(size int64, parts int) picture {
	return picture{size: size, data: make([]int64, parts)}
}

// part returns where a part of the disk starts and ends.
func (p *picture) part(i int) (start, end int64) {
	edge := func(i int) int64 { return int64(float64(p.size) / float64(len(p.data)) * float64(i)) }
	start, end = edge(i), max(edge(i+1), edge(i)+1)
	if i == len(p.data)-1 {
		end = max(p.size, start+1)
	}
	return start, end
}

// add adds an extent. They come in the order of the disk.
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
