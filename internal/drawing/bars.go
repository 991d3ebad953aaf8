package drawing

// A Bar is one value of a plot. A faint bar is a variant of the bar above it.
type Bar struct {
	Name  string
	Kind  Kind
	Faint bool
	Value float64
	Label string // the value as text
}

// A Group is a set of related bars.
type Group struct {
	Title string
	Bars  []Bar
}

// Bars draws groups of bars to a common scale that begins at zero. The legend explains the colours by
// the names of its bars.
func Bars(title string, lines []string, legend []Bar, groups []Group) []byte {
	const (
		names = 26 // columns
		left  = margin + names*column + 6
		room  = sizesAt - 6*column - left
		thick = 11.0
	)
	c := &canvas{style: ".faint{opacity:.55}\n"}
	c.heading(title, lines)
	highest := 0.0
	for _, g := range groups {
		for _, b := range g.Bars {
			highest = max(highest, b.Value)
		}
	}
	for _, b := range legend {
		c.rect(b.class(), margin, c.y-9, 10, 10, "")
		c.text("soft", nameAt, c.y, columnsIn(sizesAt-nameAt), fromLeft, b.Name)
		c.y += line
	}
	for _, g := range groups {
		c.y += 6
		c.text("head", margin, c.y, columnsIn(inner), fromLeft, g.Title)
		c.y += 6
		for _, b := range g.Bars {
			w := 0.0
			if highest > 0 {
				w = max(b.Value, 0) / highest * room
			}
			c.text("", left-6, c.y+thick-2, names, toRight, b.Name)
			c.rect(b.class(), left, c.y, w, thick, "")
			c.text("soft", left+w+4, c.y+thick-2, 6, fromLeft, b.Label)
			c.y += thick + 2
		}
		c.y += line - 2
	}
	c.y -= line
	return c.finish()
}

func (b Bar) class() string {
	if b.Faint {
		return string(b.Kind) + " faint"
	}
	return string(b.Kind)
}
