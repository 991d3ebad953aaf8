package main

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/luksimg/luksimg/internal/drawing"
)

// sectors are the sector sizes, with one bar each.
var sectors = []int{512, 4096}

// draw makes the plot, with a group of bars for each CPU and a common scale.
func draw(cpus []*results) string {
	var legend []drawing.Bar
	for i, s := range sectors {
		legend = append(legend, drawing.Bar{Name: fmt.Sprintf("sectors of %d bytes", s), Kind: kind("luksimg"), Faint: i > 0})
	}
	legend = append(legend, drawing.Bar{Name: "AES rounds alone: an upper bound", Kind: kind("limit")})
	var groups []drawing.Group
	for _, r := range cpus {
		g := drawing.Group{Title: r.cpu + ", " + r.goVersion}
		impls := slices.Clone(r.impls)
		slices.SortStableFunc(impls, func(a, b string) int { return cmp.Compare(r.rates[b][512], r.rates[a][512]) })
		for _, impl := range impls {
			name := impl
			for i, s := range sectors {
				if rate, ok := r.rates[impl][s]; ok {
					g.Bars = append(g.Bars, drawing.Bar{Name: name, Kind: kind(impl), Faint: i > 0, Value: rate, Label: fmt.Sprintf("%.*f", precision(rate), rate)})
					name = ""
				}
			}
		}
		groups = append(groups, g)
	}
	return string(drawing.Bars("AES-256-XTS on one core", []string{"encrypting in the cache, GB/s: 10^9 bytes a second"}, legend, groups))
}

// kind returns the colours of luksimg's bars, of limits and of others.
func kind(impl string) drawing.Kind {
	switch {
	case strings.HasPrefix(impl, "luksimg"):
		return drawing.Header
	case strings.HasPrefix(impl, "limit"):
		return drawing.Data
	}
	return drawing.Table
}

func precision(rate float64) int {
	if rate < 1 {
		return 2
	}
	return 1
}
