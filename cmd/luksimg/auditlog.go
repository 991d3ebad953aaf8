package main

import (
	"errors"
	"os"

	"github.com/spf13/cobra"

	"github.com/luksimg/luksimg/ibm/audit"
)

// auditFlags say where to write down what luksimg itself does in the cloud.
type auditFlags struct{ file string }

func (o *auditFlags) add(c *cobra.Command) {
	c.Flags().StringVar(&o.file, "audit-log", "", "append what is done in the cloud to `FILE`, one event (CADF, JSON) a line; luksimg audit reads it")
}

// An auditLog takes the events of one run. A nil one drops them.
type auditLog struct {
	f *os.File
	*audit.Logger
}

// open opens the log, nil if there is none. correlation ties the events to those of the
// services.
func (o *auditFlags) open(correlation string) (*auditLog, error) {
	if o.file == "" {
		return nil, nil
	}
	f, err := audit.AppendFile(o.file)
	if err != nil {
		return nil, err
	}
	opts := audit.LoggerOptions{CorrelationID: correlation, Initiator: audit.Party{Name: "luksimg " + readVersion().Version}}
	return &auditLog{f: f, Logger: audit.NewLogger(f, opts)}, nil
}

// hide keeps a secret out of the log, should a service repeat it in a message.
func (l *auditLog) hide(secret []byte) {
	if l != nil {
		l.AddSecret(string(secret))
	}
}

func (l *auditLog) close() {
	if l != nil {
		l.f.Close()
	}
}

// did writes down an action on a target, and returns err: that of the action, or that of
// the writing, since what is not written down must not look as if it had not been done.
func (l *auditLog) did(action, target string, details map[string]any, err error) error {
	if l == nil {
		return err
	}
	e := audit.Event{Action: action, Target: audit.Party{ID: target}, RequestData: details}
	if err != nil {
		e.Outcome, e.Message = audit.Failure, message(err)
	}
	return errors.Join(err, l.Log(e))
}
