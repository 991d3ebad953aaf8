package drawing

import (
	"fmt"
	"strings"
)

// A Command is a command run in a terminal.
type Command struct {
	Comment string // shown above it
	Line    string
	Output  string
}

// Terminal draws commands and their output as a terminal shows them, with long lines wrapped. They
// appear one after the other, unless the reader prefers reduced motion.
func Terminal(commands []Command) []byte {
	c := &canvas{title: "a terminal"}
	c.printf(`<circle class="damaged" cx="%d" cy="12" r="4"/><circle class="keyslot" cx="%d" cy="12" r="4"/><circle class="data" cx="%d" cy="12" r="4"/>`, margin+4, margin+18, margin+32)
	c.y = margin + 28
	columns := columnsIn(inner)
	step := 0
	appear := func(draw func()) {
		c.printf(`<g class="step s%d">`, step)
		draw()
		c.printf(`</g>`)
		step++
	}
	for _, cmd := range commands {
		appear(func() {
			if cmd.Comment != "" {
				c.lines("soft", "# "+cmd.Comment, columns)
			}
			c.lines("head", "$ "+cmd.Line, columns)
		})
		appear(func() {
			for l := range strings.Lines(cmd.Output) {
				c.lines("", strings.TrimRight(l, "\n"), columns)
			}
			c.y += 6
		})
	}
	var b strings.Builder
	b.WriteString("@keyframes appear{from{opacity:0}}.step{animation:appear .01s both}@media (prefers-reduced-motion:reduce){.step{animation:none}}\n")
	at := 0.5
	for i := range step {
		fmt.Fprintf(&b, ".s%d{animation-delay:%.1fs}", i, at)
		at += 0.7
		if i%2 == 1 {
			at += 1.1
		}
	}
	c.style = b.String() + "\n"
	c.y -= line - 6
	return c.finish()
}

// lines draws a text, wrapped after a number of columns.
func (c *canvas) lines(class, text string, columns int) {
	rest := []rune(text)
	for first := true; first || len(rest) > 0; first = false {
		n, used := 0, 0
		for n < len(rest) && used+columnsOf(rest[n]) <= columns {
			used += columnsOf(rest[n])
			n++
		}
		c.text(class, margin, c.y, columns, fromLeft, string(rest[:n]))
		rest = rest[n:]
		c.y += line
	}
}
