package talk

import (
	"cmp"
	"fmt"
	"iter"
	"strings"
	"text/tabwriter"

	"github.com/luksimg/luksimg/internal/term"
)

// A Table formats aligned lines of the form "name: value".
type Table struct {
	text strings.Builder
	w    *tabwriter.Writer
}

// NewTable returns an empty table.
func NewTable() *Table {
	t := &Table{}
	t.w = tabwriter.NewWriter(&t.text, 0, 0, 2, ' ', 0)
	return t
}

// Row adds a line.
func (t *Table) Row(name, format string, args ...any) {
	fmt.Fprintf(t.w, "%s:\t%s\n", term.Visible(name), term.Visible(fmt.Sprintf(format, args...)))
}

// Size adds a line with a number of bytes.
func (t *Table) Size(name string, n int64) { t.Row(name, "%d bytes (%s)", n, term.Bytes(n)) }

// Rows adds a line for each field.
func (t *Table) Rows(fields iter.Seq2[string, string]) {
	for name, value := range fields {
		t.Row(name, "%s", value)
	}
}

// Text returns the lines, or none if the table is empty.
func (t *Table) Text(none string) string {
	t.w.Flush()
	return strings.TrimSuffix(cmp.Or(t.text.String(), none), "\n")
}
