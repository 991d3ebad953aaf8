package main

import (
	"cmp"
	"fmt"
	"html"
	"slices"
	"strings"
)

// sectors are the sector sizes, one bar each.
var sectors = []int{512, 4096}

// The plot in SVG units. Bars begin at zero.
const (
	width    = 760
	left     = 190 // where bars begin
	right    = 70  // room for numbers
	header   = 50  // what the panels have in common
	panelTop = 28  // the name of a CPU
	barSize  = 13
	barSpace = 40 // from one implementation to the next
)

// draw makes the plot, a panel for each CPU, all to one scale. Its colours are legible
// on light and on dark ground.
func draw(cpus []*results) string {
	highest, height := 0.0, header
	for _, r := range cpus {
		height += panelTop + len(r.impls)*barSpace
		for _, impl := range r.impls {
			for _, s := range sectors {
				highest = max(highest, r.rates[impl][s])
			}
		}
	}
	scale := (width - left - right) / highest

	var b strings.Builder
	p := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	p(`<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %d %d" font-family="sans-serif" font-size="12" fill="#808890">`,
		width, height, width, height)
	p(`<text x="0" y="18" font-size="15">AES-256-XTS, one core, encrypting in the cache: GB/s (10^9 bytes a second)</text>`)
	for i, s := range sectors {
		p(`<rect x="%d" y="27" width="12" height="12" fill="%s"/><text x="%d" y="37">sectors of %d bytes</text>`,
			left+170*i, color("luksimg", i), left+18+170*i, s)
	}
	top := header
	for _, r := range cpus {
		p(`<text x="0" y="%d">%s, %s</text>`, top+16, html.EscapeString(r.cpu), html.EscapeString(r.goVersion))
		top += panelTop
		impls := slices.Clone(r.impls)
		slices.SortStableFunc(impls, func(a, b string) int { return cmp.Compare(r.rates[b][512], r.rates[a][512]) })
		for i, impl := range impls {
			y := top + i*barSpace
			p(`<text x="%d" y="%d" text-anchor="end">%s</text>`, left-10, y+barSize+5, html.EscapeString(impl))
			for j, s := range sectors {
				rate, ok := r.rates[impl][s]
				if !ok {
					continue
				}
				barY := y + j*(barSize+1)
				p(`<rect x="%d" y="%d" width="%.1f" height="%d" fill="%s"/>`, left, barY, rate*scale, barSize, color(impl, j))
				p(`<text x="%.1f" y="%d">%.*f</text>`, left+rate*scale+6, barY+barSize-2, precision(rate), rate)
			}
		}
		top += len(impls) * barSpace
	}
	p(`</svg>`)
	return b.String()
}

// color is that of bar j of an implementation: our own blue, limits green, others
// grey.
func color(impl string, j int) string {
	switch {
	case strings.HasPrefix(impl, "luksimg"):
		return []string{"#3b82d6", "#8bb8ea"}[j]
	case strings.HasPrefix(impl, "limit"):
		return []string{"#2e9e6b", "#86cdaa"}[j]
	}
	return []string{"#8d939b", "#bcc1c7"}[j]
}

func precision(rate float64) int {
	if rate < 1 {
		return 2
	}
	return 1
}
