package talk

import (
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/luksimg/luksimg/internal/term"
)

// Progress is the flag --progress.
type Progress struct{ mode string }

// Add adds the flag to c.
func (p *Progress) Add(c *cobra.Command) {
	c.Flags().StringVar(&p.mode, "progress", term.Auto, "how to show progress: "+strings.Join(term.Modes, ", "))
}

// Check returns an error if the value of the flag is unknown.
func (p *Progress) Check() error {
	if !slices.Contains(term.Modes, p.mode) {
		return fmt.Errorf("--progress %s: want one of %s", p.mode, strings.Join(term.Modes, ", "))
	}
	return nil
}

// Start starts the progress display on standard error. total is in bytes, 0 if unknown.
func (p *Progress) Start(t *Talk, phase string, total int64) (*term.Progress, error) {
	if err := p.Check(); err != nil {
		return nil, err
	}
	mode := p.mode
	if t.Quiet {
		mode = term.None
	}
	return term.Start(os.Stderr, mode, phase, total), nil
}
