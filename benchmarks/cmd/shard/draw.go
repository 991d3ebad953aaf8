package main

import (
	"fmt"
	"math"
	"strings"
	"time"
)

// A point is the time for a number of workers.
type point struct {
	workers int
	time    time.Duration
}

// speedup returns the speed-up over the first point, if that has one worker, and its share of a linear
// one.
func speedup(all []point, p point) (up, linear float64) {
	up = all[0].time.Seconds() / p.time.Seconds() * float64(all[0].workers)
	return up, up / float64(p.workers)
}

func table(all []point) string {
	var b strings.Builder
	b.WriteString("| workers | seconds | speed-up | of linear |\n| --- | --- | --- | --- |\n")
	for _, p := range all {
		up, linear := speedup(all, p)
		fmt.Fprintf(&b, "| %d | %.1f | %.2f | %.0f %% |\n", p.workers, p.time.Seconds(), up, 100*linear)
	}
	return b.String()
}

// draw plots the speed-up over the workers on logarithmic axes, with the line of a linear speed-up.
func draw(all []point) string {
	const width, height, left, bottom = 480, 320, 50, 40
	top := math.Log2(float64(all[len(all)-1].workers)) + 0.2
	x := func(v float64) float64 { return left + math.Log2(v)/top*(width-left-20) }
	y := func(v float64) float64 { return height - bottom - math.Log2(v)/top*(height-bottom-20) }
	var b strings.Builder
	fmt.Fprintf(&b, "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" font-family=\"sans-serif\" font-size=\"12\">\n", width, height)
	fmt.Fprintf(&b, "<rect width=\"%d\" height=\"%d\" fill=\"white\"/>\n", width, height)
	end := float64(all[len(all)-1].workers)
	fmt.Fprintf(&b, "<line x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\" stroke=\"#999\" stroke-dasharray=\"4\"/>\n", x(1), y(1), x(end), y(end))
	var line []string
	for _, p := range all {
		n := float64(p.workers)
		up, _ := speedup(all, p)
		line = append(line, fmt.Sprintf("%.1f,%.1f", x(n), y(up)))
		fmt.Fprintf(&b, "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"4\" fill=\"#070\"/>\n", x(n), y(up))
		fmt.Fprintf(&b, "<text x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">%d</text>\n", x(n), height-bottom+18, p.workers)
		fmt.Fprintf(&b, "<text x=\"%d\" y=\"%.1f\" text-anchor=\"end\">%d</text>\n", left-8, y(n)+4, p.workers)
	}
	fmt.Fprintf(&b, "<polyline points=\"%s\" fill=\"none\" stroke=\"#070\"/>\n", strings.Join(line, " "))
	fmt.Fprintf(&b, "<text x=\"%d\" y=\"%d\" text-anchor=\"middle\">workers</text>\n", (width+left)/2, height-6)
	fmt.Fprintf(&b, "<text x=\"%d\" y=\"16\">speed-up; dashed: linear</text>\n", left)
	b.WriteString("</svg>\n")
	return b.String()
}
