// Command plot draws an SVG bar chart from the output files of command ratios: encryption with AES-256
// on one core with data in the cache, with a panel for each file.
package main

import (
	"fmt"
	"os"
)

func main() {
	if len(os.Args) < 3 {
		fmt.Fprintln(os.Stderr, "usage: plot RESULTS.txt... PLOT.svg")
		os.Exit(1)
	}
	last := len(os.Args) - 1
	if err := run(os.Args[1:last], os.Args[last]); err != nil {
		fmt.Fprintln(os.Stderr, "plot:", err)
		os.Exit(1)
	}
}

func run(in []string, out string) error {
	var cpus []*results
	for _, name := range in {
		text, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		r, err := parse(string(text))
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		cpus = append(cpus, r)
	}
	return os.WriteFile(out, []byte(draw(cpus)), 0o644)
}
