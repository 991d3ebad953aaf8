// Package drawing makes SVG drawings of images and of events: strips to scale, and time lines. They
// contain no scripts, links or references to other files. Text is escaped and cut to its space. The
// drawings are legible on light and dark screens, and in a width of 360 pixels.
package drawing

import (
	"bytes"
	"fmt"
	"html"
	"strings"
	"unicode"
)

// All sizes are in SVG units. A column is the width of the widest character in any of the fonts. The
// layout counts columns, because the real width of text is not known here.
const (
	width    = 400
	margin   = 12
	inner    = width - 2*margin
	fontSize = 11
	column   = 6.7
	line     = 17.0 // height of a line of text
)

// A canvas is a drawing that grows downwards.
type canvas struct {
	b     bytes.Buffer
	y     float64 // where the next line begins
	title string
	style string // in addition to the common style
}

func (c *canvas) printf(format string, args ...any) { fmt.Fprintf(&c.b, format+"\n", args...) }

// An anchor says which end of a text is at its position.
type anchor bool

const (
	fromLeft anchor = false
	toRight  anchor = true
)

// text draws a text at a position, cut to a number of columns.
func (c *canvas) text(class string, x, y float64, columns int, at anchor, text string) {
	text, n := Fit(text, columns)
	if n == 0 {
		return
	}
	more := ""
	if at == toRight {
		more = ` text-anchor="end"`
	}
	if strings.ContainsFunc(text, func(r rune) bool { return r > unicode.MaxASCII && r != ellipsis }) {
		// A fallback font can have any width.
		more += fmt.Sprintf(` textLength="%.1f" lengthAdjust="spacingAndGlyphs"`, float64(n)*column)
	}
	c.printf(`<text class="%s" x="%.1f" y="%.1f"%s>%s</text>`, class, x, y, more, html.EscapeString(text))
}

// rect draws a rectangle of a class. A browser shows the title as a tooltip.
func (c *canvas) rect(class string, x, y, w, h float64, title string) {
	if title == "" {
		c.printf(`<rect class="%s" x="%.1f" y="%.1f" width="%.1f" height="%.1f"/>`, class, x, y, w, h)
		return
	}
	title, _ = Fit(title, maxTitle)
	c.printf(`<rect class="%s" x="%.1f" y="%.1f" width="%.1f" height="%.1f"><title>%s</title></rect>`, class, x, y, w, h, html.EscapeString(title))
}

// heading draws the title and the lines below it.
func (c *canvas) heading(title string, lines []string) {
	c.title = title
	c.y = margin + 14
	c.text("title", margin, c.y, inner/9, fromLeft, title)
	for _, l := range lines {
		c.y += line
		c.text("soft", margin, c.y, columnsIn(inner), fromLeft, l)
	}
	c.y += line
}

// columnsIn returns how many columns fit into a width.
func columnsIn(w float64) int { return int(w / column) }

// finish returns the complete SVG file.
func (c *canvas) finish() []byte {
	var b bytes.Buffer
	title, _ := Fit(c.title, maxTitle)
	height := c.y + margin
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%.0f" viewBox="0 0 %d %.0f" role="img" xml:space="preserve">`+"\n", width*13/10, height*1.3, width, height)
	fmt.Fprintf(&b, "<title>%s</title>\n<style>\n%s</style>\n", html.EscapeString(title), style()+c.style)
	fmt.Fprintf(&b, `<rect class="page" width="%d" height="%.0f"/>`+"\n", width, height)
	b.Write(c.b.Bytes())
	b.WriteString("</svg>\n")
	return b.Bytes()
}

const (
	maxTitle = 120 // columns
	ellipsis = '…'
)

// Fit cuts a text to a number of columns, and returns it and its width in columns. It replaces
// characters that are invisible, change the text direction or combine with others by question marks.
func Fit(text string, columns int) (string, int) {
	var b strings.Builder
	n, kept := 0, 0 // columns; bytes of b that leave room for an ellipsis
	for _, r := range text {
		if !unicode.IsPrint(r) || unicode.Is(unicode.M, r) {
			r = '?'
		}
		w := columnsOf(r)
		if n+w > columns {
			if columns == 0 {
				return "", 0
			}
			s := b.String()[:kept]
			n = 1
			for _, r := range s {
				n += columnsOf(r)
			}
			return s + string(ellipsis), n
		}
		b.WriteRune(r)
		if n += w; n < columns {
			kept = b.Len()
		}
	}
	return b.String(), n
}

// columnsOf returns the width of a character in columns. East Asian characters, pictures and all
// characters outside the first pages of Unicode have two.
func columnsOf(r rune) int {
	if r >= 0x1100 && r != ellipsis && (r < 0x2000 || r > 0x206f) {
		return 2
	}
	return 1
}
