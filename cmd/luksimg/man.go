package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"

	"github.com/luksimg/luksimg/cmd/luksimg/internal/flags"
	"github.com/luksimg/luksimg/cmd/luksimg/internal/talk"
	"github.com/luksimg/luksimg/internal/output"
)

func newMan(g *global) *cobra.Command {
	var format string
	c := &cobra.Command{
		Use:   "man DIR",
		Short: "Write the manual pages",
		Long: `Man writes a manual page for each verb to the folder DIR, which it creates if needed. --format markdown
writes the same pages as Markdown.`,
		Example: `  luksimg man /usr/local/share/man/man1
  luksimg man --format markdown docs`,
		Args: flags.Args("DIR"),
		RunE: func(c *cobra.Command, args []string) error {
			pages, err := manual(c.Root(), format)
			if err != nil {
				return err
			}
			if err := os.MkdirAll(args[0], 0o777); err != nil {
				return err
			}
			for name, text := range pages {
				if err := output.WriteFile(filepath.Join(args[0], name), text, 0o666); err != nil {
					return err
				}
			}
			return g.Result(manResult{Output: args[0], Format: format, Pages: len(pages)},
				talk.Line("%s: %d pages", args[0], len(pages)))
		},
	}
	c.Flags().StringVar(&format, "format", "man", "man or markdown")
	return c
}

// manResult is the output of man --json.
type manResult struct {
	Output string `json:"output"`
	Format string `json:"format"`
	Pages  int    `json:"pages"`
}

// manual returns the pages of the command and all verbs by file name.
func manual(root *cobra.Command, format string) (map[string][]byte, error) {
	if format != "man" && format != "markdown" {
		return nil, fmt.Errorf("--format %s: want man or markdown", format)
	}
	root.InitDefaultHelpCmd()
	root.InitDefaultCompletionCmd()
	root.DisableAutoGenTag = true // no date: pages of the same command are identical
	pages := make(map[string][]byte)
	var add func(c *cobra.Command) error
	add = func(c *cobra.Command) error {
		if !c.IsAvailableCommand() {
			return nil
		}
		var b bytes.Buffer
		name := strings.ReplaceAll(c.CommandPath(), " ", "-")
		var err error
		if format == "man" {
			epoch := time.Unix(0, 0)
			err = doc.GenMan(c, &doc.GenManHeader{Title: strings.ToUpper(name), Section: "1", Source: "luksimg", Manual: "luksimg manual", Date: &epoch}, &b)
			name += ".1"
			b = *bytes.NewBuffer(typeset(bytes.Replace(b.Bytes(), []byte(`"Jan 1970"`), []byte(`""`), 1)))
		} else {
			err = doc.GenMarkdownCustom(c, &b, func(link string) string { return strings.ReplaceAll(link, "_", "-") })
			name += ".md"
		}
		if err != nil {
			return err
		}
		pages[name] = b.Bytes()
		for _, sub := range c.Commands() {
			if err := add(sub); err != nil {
				return err
			}
		}
		return nil
	}
	return pages, add(root)
}

var (
	// offByDefault matches a boolean flag that is off by default, as [doc.GenMan] writes it.
	offByDefault = regexp.MustCompile(`(?m)^(\\fB.*\\fP)\[=false\]$`)
	// tableRow matches a row of a table, or a line that continues its last column.
	tableRow = regexp.MustCompile(`^\S.*\S {3,}\S|^ {4,}\S`)
)

// typeset corrects a page of [doc.GenMan]: tables keep their lines, and flags without a value have none.
func typeset(page []byte) []byte {
	head, options, _ := strings.Cut(string(page), "\n.SH OPTIONS\n")
	lines := strings.Split(head, "\n")
	var out []string
	inTable, literal := false, false
	for _, l := range lines {
		literal = l == ".EX" || literal && l != ".EE"
		if row := !literal && tableRow.MatchString(l); row != inTable {
			inTable = row
			out = append(out, map[bool]string{true: ".nf", false: ".fi"}[row])
		}
		out = append(out, l)
	}
	if inTable {
		out = append(out, ".fi")
	}
	head = strings.Join(out, "\n")
	if len(head)+len(options) < len(page) { // there are options
		head += "\n.SH OPTIONS\n"
	}
	return []byte(head + offByDefault.ReplaceAllString(options, "$1"))
}
