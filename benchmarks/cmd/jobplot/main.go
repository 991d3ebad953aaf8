// Command jobplot makes the table in docs/performance.md and an SVG plot from the raw results of
// command job.
//
//	jobplot RESULTS.txt PLOT.svg PAGE.md
package main

import (
	"bytes"
	"fmt"
	"os"
	"strings"
)

func main() {
	if len(os.Args) != 4 {
		fmt.Fprintln(os.Stderr, "usage: jobplot RESULTS.txt PLOT.svg PAGE.md")
		os.Exit(1)
	}
	if err := run(os.Args[1], os.Args[2], os.Args[3]); err != nil {
		fmt.Fprintln(os.Stderr, "jobplot:", err)
		os.Exit(1)
	}
}

func run(in, plot, readme string) error {
	text, err := os.ReadFile(in)
	if err != nil {
		return err
	}
	r, err := parse(string(text))
	if err != nil {
		return fmt.Errorf("%s: %w", in, err)
	}
	if err := os.WriteFile(plot, []byte(draw(r)), 0o644); err != nil {
		return err
	}
	old, err := os.ReadFile(readme)
	if err != nil {
		return err
	}
	page, err := replace(string(old), table(r))
	if err != nil {
		return fmt.Errorf("%s: %w", readme, err)
	}
	if bytes.Equal(old, []byte(page)) {
		return nil
	}
	return os.WriteFile(readme, []byte(page), 0o644)
}

const (
	begin = "<!-- The table is made by benchmarks/run-job.sh. -->\n"
	end   = "<!-- End of the table. -->\n"
)

// replace replaces the text between the two markers by a table.
func replace(page, table string) (string, error) {
	before, rest, ok := strings.Cut(page, begin)
	_, after, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		return "", fmt.Errorf("no marker %q for the table", strings.TrimSpace(begin))
	}
	return before + begin + table + end + after, nil
}
