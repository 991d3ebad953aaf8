package audit

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"
)

// Observer is the observer of the events that a [Logger] writes.
const Observer = "luksimg"

// LoggerOptions are the settings of a [Logger]. The zero value is usable.
type LoggerOptions struct {
	// Initiator identifies the user, if known.
	Initiator Party

	// CorrelationID links related events, including those of services that received it
	// in a header. "" means a random one; see [Logger.CorrelationID].
	CorrelationID string

	// Secrets are redacted wherever they appear in an event.
	Secrets []string `json:"-"`

	// Now returns the time for an event; nil means time.Now.
	Now func() time.Time
}

// A Logger writes one line of JSON per event. It is safe for concurrent use.
type Logger struct {
	mu      sync.Mutex
	w       io.Writer
	o       LoggerOptions
	secrets [][]byte // added by AddSecret
	file    *os.File // opened by OpenLog, or nil
}

// NewLogger returns a Logger that writes each event with one call of w.Write.
func NewLogger(w io.Writer, o LoggerOptions) *Logger {
	if o.CorrelationID == "" {
		o.CorrelationID = uuid.NewString()
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Logger{w: w, o: o}
}

// OpenLog returns a Logger that appends to the named file. It opens the file with [AppendFile];
// Close closes it. If name is "", OpenLog returns nil; a nil Logger drops its events.
func OpenLog(name string, o LoggerOptions) (*Logger, error) {
	if name == "" {
		return nil, nil
	}
	f, err := AppendFile(name)
	if err != nil {
		return nil, err
	}
	l := NewLogger(f, o)
	l.file = f
	return l, nil
}

// Close wipes the secrets of AddSecret and closes the file of [OpenLog].
func (l *Logger) Close() error {
	l.Forget()
	if l == nil || l.file == nil {
		return nil
	}
	return l.file.Close()
}

// CorrelationID returns the correlation ID of all events, for use in request headers.
func (l *Logger) CorrelationID() string { return l.o.CorrelationID }

// AddSecret adds a secret to redact, in case a service repeats it in a message. The Logger keeps a
// copy until [Logger.Forget]. A nil Logger does nothing.
func (l *Logger) AddSecret(secret []byte) {
	if l == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.secrets = append(l.secrets, bytes.Clone(secret))
}

// Forget wipes the secrets of AddSecret. No event may be logged afterwards.
func (l *Logger) Forget() {
	if l == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, s := range l.secrets {
		clear(s)
	}
	l.secrets = nil
}

// Log writes an event. It fills in empty fields: identifier, time, outcome, severity, observer,
// correlation ID. It redacts the secrets of the options and of AddSecret, and all values whose
// names are those of secrets.
func (l *Logger) Log(e Event) error {
	if e.Action == "" {
		return errors.New("audit: event has no action")
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if e.ID == "" {
		e.ID = uuid.NewString()
	}
	if e.Time.IsZero() {
		e.Time = l.o.Now()
	}
	if e.Outcome == "" {
		e.Outcome = Success
	}
	if e.Severity == "" {
		e.Severity = "normal"
		if !e.OK() {
			e.Severity = "warning"
		}
	}
	if e.Observer == "" {
		e.Observer = Observer
	}
	if e.Initiator == (Party{}) {
		e.Initiator = l.o.Initiator
	}
	if e.CorrelationID == "" {
		e.CorrelationID = l.o.CorrelationID
	}
	line, err := l.redact(e)
	if err != nil {
		return err
	}
	if _, err := l.w.Write(append(line, '\n')); err != nil {
		return fmt.Errorf("audit: writing the event %s: %w", e.Action, err)
	}
	return nil
}

// Did logs an action on a target. It returns err, the error of the action, joined with any error
// of logging: an unlogged action must not appear to be logged. A nil Logger
// writes nothing.
func (l *Logger) Did(action, target string, details map[string]any, err error) error {
	if l == nil {
		return err
	}
	e := Event{Action: action, Target: Party{ID: target}, RequestData: details}
	switch {
	case errors.Is(err, context.Canceled):
		e.Outcome, e.Message = Failure, "cancelled"
	case err != nil:
		e.Outcome, e.Message = Failure, err.Error()
	}
	return errors.Join(err, l.Log(e))
}

// redact returns the event as JSON without secrets. It compares decoded values, so that
// no JSON escape hides a secret.
func (l *Logger) redact(e Event) ([]byte, error) {
	text, err := json.Marshal(e)
	if err != nil {
		return nil, fmt.Errorf("audit: encoding the event %s: %w", e.Action, err)
	}
	var m map[string]any
	if err := json.Unmarshal(text, &m); err != nil {
		return nil, fmt.Errorf("audit: encoding the event %s: %w", e.Action, err)
	}
	queue := []any{m}
	for len(queue) > 0 {
		v := queue[len(queue)-1]
		queue = queue[:len(queue)-1]
		switch v := v.(type) {
		case map[string]any:
			for name, x := range v {
				if clean := l.clean(name); clean != name {
					delete(v, name)
					name = clean
				}
				v[name] = l.value(name, x, &queue)
			}
		case []any:
			for i, x := range v {
				v[i] = l.value("", x, &queue)
			}
		}
	}
	return json.Marshal(m)
}

const redacted = "[redacted]"

func (l *Logger) value(name string, v any, queue *[]any) any {
	if secretName(name) && v != nil && v != "" {
		return redacted
	}
	switch v := v.(type) {
	case string:
		return l.clean(v)
	case map[string]any, []any:
		*queue = append(*queue, v)
	}
	return v
}

func (l *Logger) clean(s string) string {
	for _, secret := range l.o.Secrets {
		if secret != "" {
			s = strings.ReplaceAll(s, secret, redacted)
		}
	}
	for _, secret := range l.secrets {
		if len(secret) > 0 {
			s = string(bytes.ReplaceAll([]byte(s), secret, []byte(redacted)))
		}
	}
	return s
}

// secretName reports whether values of this name are secrets. Wrapped keys are not.
func secretName(name string) bool {
	name = strings.ToLower(strings.NewReplacer("_", "", "-", "").Replace(name))
	switch name {
	case "dek", "key", "pin", "auth":
		return true
	}
	for _, word := range []string{"apikey", "secretkey", "secretaccesskey", "token", "password", "passphrase", "passwd", "plaintext", "authorization", "payload", "privatekey", "datakey", "keymaterial", "volumekey", "clientsecret"} {
		if strings.Contains(name, word) && !strings.HasPrefix(name, "wrapped") {
			return true
		}
	}
	return false
}

// AppendFile opens an event file for appending. It creates a missing file with permissions for
// the owner only. It returns an error unless name is a regular file.
func AppendFile(name string) (*os.File, error) {
	if info, err := os.Stat(name); err == nil && !info.Mode().IsRegular() {
		return nil, fmt.Errorf("audit: %s is not a regular file", name)
	}
	return os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
}
