package main

import (
	"os"

	"github.com/spf13/cobra"

	"github.com/luksimg/luksimg/ibm/audit"
)

// auditFlags say where to write down what luksimg itself does in the cloud.
type auditFlags struct{ file string }

func (o *auditFlags) add(c *cobra.Command) {
	c.Flags().StringVar(&o.file, "audit-log", "", "append what is done in the cloud to `FILE`, one event (CADF, JSON) a line; luksimg audit reads it")
}

// An auditLog takes the events of one run. One without a file drops them.
type auditLog struct {
	*audit.Logger // nil drops them
	f             *os.File
}

// open opens the log, if there is one. correlation ties the events to those of the
// services.
func (o *auditFlags) open(correlation string) (*auditLog, error) {
	if o.file == "" {
		return new(auditLog), nil
	}
	f, err := audit.AppendFile(o.file)
	if err != nil {
		return nil, err
	}
	opts := audit.LoggerOptions{CorrelationID: correlation, Initiator: audit.Party{Name: "luksimg " + readVersion().Version}}
	return &auditLog{f: f, Logger: audit.NewLogger(f, opts)}, nil
}

func (l *auditLog) close() {
	l.Forget()
	if l.f != nil {
		l.f.Close()
	}
}
