package main

import (
	"context"
	"fmt"
	"strings"
	"text/tabwriter"

	"github.com/luksimg/luksimg/image"
)

// A mapExtent is one of inspect --map, with the names of qemu-img map.
type mapExtent struct {
	Start   int64 `json:"start"`
	Length  int64 `json:"length"`
	Present bool  `json:"present"` // the image has room for it
	Zero    bool  `json:"zero"`    // it reads as zeros
	Data    bool  `json:"data"`    // it must be read to be known
}

// mapOf returns the extents of a disk.
func mapOf(ctx context.Context, src image.Source) ([]mapExtent, error) {
	all := []mapExtent{}
	for e, err := range image.ExtentsContext(ctx, src, 0, src.Size()) {
		if err != nil {
			return nil, err
		}
		all = append(all, mapExtent{e.Offset, e.Length, e.Kind != image.Hole, e.Kind != image.Data, e.Kind == image.Data})
	}
	return all, nil
}

// pictureWidth is how many characters the picture of a disk has.
const pictureWidth = 64

// picture draws where the data of a disk lie, in one line: # all data, + some, . none.
func picture(extents []mapExtent, size int64) string {
	if size == 0 {
		return ""
	}
	// A character stands for a part of the disk; the parts may differ by a byte.
	edge := func(i int) int64 { return int64(float64(size) / pictureWidth * float64(i)) }
	var line [pictureWidth]byte
	at := 0 // of the extents
	for i := range line {
		start, end := edge(i), max(edge(i+1), edge(i)+1)
		if i == pictureWidth-1 {
			end = max(size, start+1)
		}
		data := int64(0)
		for at < len(extents) && extents[at].Start+extents[at].Length <= start {
			at++
		}
		for _, e := range extents[at:] {
			if e.Start >= end {
				break
			}
			if e.Data {
				data += min(end, e.Start+e.Length) - max(start, e.Start)
			}
		}
		switch {
		case data == 0:
			line[i] = '.'
		case data >= end-start:
			line[i] = '#'
		default:
			line[i] = '+'
		}
	}
	return string(line[:])
}

// mapText is the map as qemu-img map prints it, but for where in the file things are.
func mapText(extents []mapExtent) string {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 4, ' ', 0)
	fmt.Fprintln(w, "Offset\tLength\tKind")
	for _, e := range extents {
		kind := "data"
		switch {
		case e.Zero && e.Present:
			kind = "zero"
		case e.Zero:
			kind = "hole"
		}
		fmt.Fprintf(w, "%#x\t%#x\t%s\n", e.Start, e.Length, kind)
	}
	w.Flush()
	return strings.TrimSuffix(b.String(), "\n")
}
