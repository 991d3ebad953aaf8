package drawing

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/luksimg/luksimg/internal/size"
)

// A Span is a part of a strip.
type Span struct {
	Kind   Kind
	Name   string
	Offset int64 // bytes
	Size   int64 // bytes
}

func (s Span) end() int64 { return s.Offset + s.Size }

// A Strip is a file or a disk, drawn to scale from its first byte to its last.
type Strip struct {
	Title string
	Size  int64 // bytes
	Spans []Span

	// Rest is the name of what lies between the spans, or "".
	Rest Kind

	// Loose are further parts without a position. The drawing omits their offset, and their size if it
	// is 0.
	Loose []Span

	// Density divides the strip into equal parts, one for each element. An element is the share of data
	// in its part, from 0 to 1. Density is nil if unknown.
	Density []float64
}

// maxSpans limits the spans that are drawn for a strip. Further ones are only counted.
const maxSpans = 40

// These are positions in a strip, in SVG units.
const (
	stripHeight   = 26.0
	densityHeight = 10.0
	nameAt        = margin + 16
	startsAt      = width - margin - 80 // right ends of the columns
	sizesAt       = width - margin
	maxLanes      = 3
)

// Strips draws strips one below the other, each with a list of its parts.
func Strips(title string, lines []string, strips []Strip) []byte {
	c := &canvas{}
	c.heading(title, lines)
	used := map[Kind]bool{}
	broken := false
	for i := range strips {
		broken = c.strip(&strips[i], used) || broken
	}
	c.legend(used, broken)
	return c.finish()
}

// strip draws a strip and reports whether its scale is broken.
func (c *canvas) strip(s *Strip, used map[Kind]bool) (broken bool) {
	spans := s.inside()
	more := max(0, len(spans)-maxSpans)
	spans = spans[:len(spans)-more]
	a := newAxis(s.Size, spans, inner)

	c.y += 6
	c.text("head", margin, c.y, columnsIn(inner)-12, fromLeft, s.Title)
	c.text("head", sizesAt, c.y, 11, toRight, size.Binary(s.Size))
	c.y += 7
	rest := cmp.Or(s.Rest, Hole)
	c.rect(string(rest), margin, c.y, inner, stripHeight, "")
	if covered(spans) < s.Size {
		used[rest] = true
	}
	if s.Density != nil {
		used[Data], used[Hole] = true, true
		if len(spans) == 0 {
			c.density(s, a, stripHeight)
		}
	}
	lanes := lanesOf(spans)
	height := stripHeight / float64(slices.Max(append(lanes, 0))+1)
	for i, p := range spans {
		x := a.at(p.Offset)
		c.rect(string(p.Kind), margin+x, c.y+float64(lanes[i])*height, max(a.at(p.end())-x-0.5, 1), height,
			fmt.Sprintf("%s: %d bytes at %d", p.Name, p.Size, p.Offset))
		used[p.Kind] = true
	}
	c.rect("frame", margin, c.y, inner, stripHeight, "")
	c.y += stripHeight
	for from, to := range a.breaks {
		c.zigzag(margin+from, margin+to, c.y+2)
		broken = true
	}
	if s.Density != nil && len(spans) > 0 {
		c.y += 6
		c.rect(string(Hole), margin, c.y, inner, densityHeight, "")
		c.density(s, a, densityHeight)
		c.y += densityHeight
	}
	c.y += line
	c.list(spans, more, s.Loose, used)
	c.y += 8
	return broken
}

// inside returns the spans in order, cut to the strip.
func (s *Strip) inside() []Span {
	var all []Span
	for _, p := range s.Spans {
		if p.Offset < 0 || p.Size <= 0 || p.Offset >= s.Size {
			continue
		}
		p.Size = min(p.Size, s.Size-p.Offset)
		all = append(all, p)
	}
	slices.SortStableFunc(all, func(a, b Span) int { return cmp.Or(cmp.Compare(a.Offset, b.Offset), cmp.Compare(b.Size, a.Size)) })
	return all
}

// covered returns how many bytes the spans cover. The spans must be in order.
func covered(spans []Span) (n int64) {
	end := int64(0)
	for _, p := range spans {
		n += max(0, p.end()-max(p.Offset, end))
		end = max(end, p.end())
	}
	return n
}

// lanesOf puts overlapping spans into different lanes, up to a limit.
func lanesOf(spans []Span) []int {
	lanes := make([]int, len(spans))
	var ends [maxLanes]int64
	for i, p := range spans {
		lane := 0
		for lane < maxLanes-1 && ends[lane] > p.Offset {
			lane++
		}
		lanes[i], ends[lane] = lane, max(ends[lane], p.end())
	}
	return lanes
}

// list lists the parts of a strip.
func (c *canvas) list(spans []Span, more int, loose []Span, used map[Kind]bool) {
	if len(spans) > 0 {
		c.text("soft", startsAt, c.y, 11, toRight, "start")
		c.text("soft", sizesAt, c.y, 11, toRight, "size")
		c.y += line
	}
	for _, p := range spans {
		c.row(p.Kind, p.Name, size.Binary(p.Offset), size.Binary(p.Size))
	}
	if more > 0 {
		c.text("soft", nameAt, c.y, 50, fromLeft, fmt.Sprintf("and %d more, which are not drawn", more))
		c.y += line
	}
	left := max(0, len(loose)-maxSpans)
	for _, p := range loose[:len(loose)-left] {
		n := ""
		if p.Size > 0 {
			n = size.Binary(p.Size)
		}
		used[p.Kind] = true
		c.row(p.Kind, p.Name, "", n)
	}
	if left > 0 {
		c.text("soft", nameAt, c.y, 50, fromLeft, fmt.Sprintf("and %d more", left))
		c.y += line
	}
}

// row writes a line of a list.
func (c *canvas) row(k Kind, name, start, n string) {
	c.chip(k, margin, c.y)
	room := sizesAt - nameAt
	if n != "" {
		room -= 80
	}
	if start != "" {
		room -= 80
	}
	c.text("", nameAt, c.y, columnsIn(float64(room)), fromLeft, name)
	c.text("", startsAt, c.y, 11, toRight, start)
	c.text("", sizesAt, c.y, 11, toRight, n)
	c.y += line
}

// chip draws a square in the colour of a kind, in front of a text at y.
func (c *canvas) chip(k Kind, x, y float64) { c.rect(string(k), x, y-9, 10, 10, "") }

// density draws the share of data in each part.
func (c *canvas) density(s *Strip, a *axis, height float64) {
	n := len(s.Density)
	edge := func(i int) float64 { return a.at(int64(float64(s.Size) / float64(n) * float64(i))) }
	// The opacity has steps of a quarter. Only a part without data is clear, and only a full part is
	// opaque.
	step := func(share float64) int {
		if share <= 0 {
			return 0
		}
		return min(1+int(share*3), 4)
	}
	for i := 0; i < n; {
		j := i + 1
		for j < n && step(s.Density[j]) == step(s.Density[i]) {
			j++
		}
		if k := step(s.Density[i]); k > 0 {
			c.printf(`<rect class="%s" x="%.1f" y="%.1f" width="%.1f" height="%.1f" opacity="%.2f"/>`, Data, margin+edge(i), c.y, max(edge(j)-edge(i), 0.5), height, float64(k)/4)
		}
		i = j
	}
}

// zigzag marks a break of the scale.
func (c *canvas) zigzag(from, to, y float64) {
	var b strings.Builder
	for i, x := 0, from; x <= max(to, from+6); i, x = i+1, x+2 {
		fmt.Fprintf(&b, " %.1f,%.1f", x, y+float64(i%2)*4)
	}
	c.printf(`<polyline class="broken" points="%s"/>`, b.String()[1:])
}

// legend explains the colours.
func (c *canvas) legend(used map[Kind]bool, broken bool) {
	x := float64(margin)
	for _, k := range colors {
		if !used[k.kind] {
			continue
		}
		w := 16 + float64(len(k.legend)+2)*column
		if x+w > width-margin {
			x, c.y = margin, c.y+line
		}
		c.chip(k.kind, x, c.y)
		c.text("soft", x+14, c.y, 30, fromLeft, k.legend)
		x += w
	}
	if broken {
		c.y += line
		c.zigzag(margin, margin+12, c.y-5)
		c.text("soft", nameAt, c.y, 53, fromLeft, "not to scale: too small to be seen otherwise")
	}
}
