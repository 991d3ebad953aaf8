package drawing

import (
	"fmt"
	"strings"
	"time"
)

// A State is the state of a link of a chain.
type State int

// These are the states of a link.
const (
	Done    State = iota // present
	Unknown              // absent, and not required
	Missing
)

// A Link is a stage of a chain of events, or a gap in it.
type Link struct {
	Name  string
	State State
}

// An Event is something that happened or was refused.
type Event struct {
	Kind    Kind
	Name    string
	Lines   []string
	Time    time.Time // zero if unknown
	Refused bool
}

// maxEvents limits the events that are drawn.
const maxEvents = 200

// Chain draws the stages of a chain and its events on a time line to scale. Below are a list of the
// events with the time between them, and the gaps.
func Chain(title string, lines []string, links []Link, events []Event, missing []Link) []byte {
	c := &canvas{}
	c.heading(title, lines)
	c.links(links)
	more := max(0, len(events)-maxEvents)
	shown := events[:len(events)-more]
	c.scale(shown)
	used := map[Kind]bool{}
	var last time.Time
	for _, e := range shown {
		c.event(e, last)
		used[e.Kind] = true
		if !e.Time.IsZero() {
			last = e.Time
		}
	}
	if more > 0 {
		c.text("soft", nameAt, c.y, 50, fromLeft, fmt.Sprintf("and %d more, which are not drawn", more))
		c.y += line
	}
	for _, m := range missing {
		c.missing(m)
	}
	c.y += 6
	c.legend(used, false)
	return c.finish()
}

// missing describes a gap, in at most three lines.
func (c *canvas) missing(m Link) {
	box, text := "missing", "alarm"
	if m.State == Unknown {
		box, text = "ahead", "soft"
	}
	c.rect(box, margin, c.y-9, 10, 10, "")
	columns := columnsIn(sizesAt - nameAt)
	for i, words := 0, strings.Fields(m.Name); i == 0 || len(words) > 0; i++ {
		l, n := "", 0
		for n < len(words) && (n == 0 || i == 2 || len(l)+len(words[n]) < columns) {
			l += " " + words[n]
			n++
		}
		words = words[n:]
		c.text(text, nameAt, c.y, columns, fromLeft, strings.TrimPrefix(l, " "))
		c.y += line
	}
}

// links draws the stages in a row.
func (c *canvas) links(links []Link) {
	if len(links) == 0 {
		return
	}
	const gap, height = 6.0, 22.0
	w := (inner - gap*float64(len(links)-1)) / float64(len(links))
	for i, l := range links {
		x := margin + float64(i)*(w+gap)
		box, text, title := string(Data), "inside", "there is an event of it"
		switch l.State {
		case Unknown:
			box, text, title = "ahead", "soft", "no event found; the chain holds without it"
		case Missing:
			box, text, title = "missing", "alarm", "missing, out of order, or refused"
		}
		c.rect(box, x, c.y-8, w, height, l.Name+": "+title)
		name, n := Fit(l.Name, columnsIn(w-4))
		c.text(text, x+(w-float64(n)*column)/2, c.y+7, n, fromLeft, name)
		if i > 0 {
			c.printf(`<path class="axis" d="M%.1f %.1fh%.1f"/>`, x-gap, c.y+3, gap)
		}
	}
	c.y += height + 8
}

// scale draws the times of the events, to scale.
func (c *canvas) scale(events []Event) {
	var first, last time.Time
	for _, e := range events {
		if e.Time.IsZero() {
			continue
		}
		if first.IsZero() || e.Time.Before(first) {
			first = e.Time
		}
		if e.Time.After(last) {
			last = e.Time
		}
	}
	span := last.Sub(first)
	if span <= 0 {
		return
	}
	c.y += 4
	c.printf(`<path class="axis" d="M%d %.1fh%d"/>`, margin, c.y, inner)
	for _, e := range events {
		if e.Time.IsZero() {
			continue
		}
		x := margin + 1 + float64(e.Time.Sub(first))/float64(span)*(inner-4)
		c.rect(string(e.kind()), x, c.y-7, 2.5, 14, e.Name)
	}
	c.y += line + 4
	c.text("soft", margin, c.y, 20, fromLeft, stamp(first))
	c.text("soft", sizesAt, c.y, 20, toRight, "+"+elapsed(span))
	c.y += line + 4
}

func (e Event) kind() Kind {
	if e.Refused {
		return Damaged
	}
	return e.Kind
}

// event draws an event and the time since the previous one.
func (c *canvas) event(e Event, before time.Time) {
	top := c.y
	c.chip(e.kind(), margin, c.y)
	at := "no time"
	if !e.Time.IsZero() {
		at = stamp(e.Time)
	}
	c.text("head", nameAt, c.y, columnsIn(sizesAt-nameAt)-21, fromLeft, e.Name)
	c.text("soft", sizesAt, c.y, 20, toRight, at)
	c.y += line
	class := "soft"
	if e.Refused {
		class = "alarm"
	}
	for i, l := range e.Lines {
		room := columnsIn(sizesAt - nameAt)
		if i == 0 && !before.IsZero() && e.Time.After(before) {
			c.text("soft", sizesAt, c.y, 12, toRight, "+"+elapsed(e.Time.Sub(before)))
			room -= 13
		}
		c.text(class, nameAt, c.y, room, fromLeft, l)
		class = "soft"
		c.y += line
	}
	c.printf(`<path class="axis" d="M%d %.1fV%.1f"/>`, margin+5, top+3, c.y-8)
	c.y += 4
}

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05Z") }

// elapsed formats a duration in its two largest units.
func elapsed(d time.Duration) string {
	switch {
	case d < time.Second:
		return d.Round(time.Millisecond).String()
	case d < time.Hour:
		return d.Round(time.Second).String()
	case d < 24*time.Hour:
		return fmt.Sprintf("%dh%dm", d/time.Hour, d%time.Hour/time.Minute)
	}
	return fmt.Sprintf("%dd %dh", d/(24*time.Hour), d%(24*time.Hour)/time.Hour)
}
