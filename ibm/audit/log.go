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

// Observer is who saw what a [Logger] writes: this program itself.
const Observer = "luksimg"

// LoggerOptions say what a [Logger] puts into each event. The zero value is right.
type LoggerOptions struct {
	// Initiator is who acts, if that is known.
	Initiator Party

	// CorrelationID ties the events together, and to those of services that were
	// given it. "" is a random one; see [Logger.CorrelationID].
	CorrelationID string

	// Secrets are replaced wherever they appear in an event.
	Secrets []string `json:"-"`

	// Now is the time of an event; nil is time.Now.
	Now func() time.Time
}

// A Logger writes events, one line of JSON each. It is safe for concurrent use.
type Logger struct {
	mu      sync.Mutex
	w       io.Writer
	o       LoggerOptions
	secrets [][]byte // those that were added
	file    *os.File // of OpenLog
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

// OpenLog returns a Logger that appends to a file, as [AppendFile] opens it. Close ends it. With
// "" for the name it is nil, which drops the events.
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

// Close wipes what AddSecret was given, and closes the file of [OpenLog].
func (l *Logger) Close() error {
	l.Forget()
	if l == nil || l.file == nil {
		return nil
	}
	return l.file.Close()
}

// CorrelationID returns what ties the events together, for the headers of calls.
func (l *Logger) CorrelationID() string { return l.o.CorrelationID }

// AddSecret adds what must not appear in an event, should a service repeat it in a message.
// The Logger has a copy until [Logger.Forget]. A nil Logger takes it too, and copies nothing.
func (l *Logger) AddSecret(secret []byte) {
	if l == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.secrets = append(l.secrets, bytes.Clone(secret))
}

// Forget wipes what AddSecret was given. No event may be logged afterwards.
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

// Log writes an event. What e leaves empty is filled in: identifier, time, outcome,
// severity, observer, correlation. Secrets are replaced: those of the options, and
// what has a name like that of a secret.
func (l *Logger) Log(e Event) error {
	if e.Action == "" {
		return errors.New("audit: an event without an action")
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

// Did writes an action on a target down, and returns err: that of the action, joined with that of
// the writing, since what is not written down must not look as if it had been. A nil Logger
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

// redact returns the event as JSON without secrets. It works on the values as they
// will be read, so that no spelling of JSON hides a secret.
func (l *Logger) redact(e Event) ([]byte, error) {
	text, err := json.Marshal(e)
	if err != nil {
		return nil, fmt.Errorf("audit: the event %s can not be written: %w", e.Action, err)
	}
	var m map[string]any
	if err := json.Unmarshal(text, &m); err != nil {
		return nil, fmt.Errorf("audit: the event %s can not be written: %w", e.Action, err)
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

// secretName tells whether a value of this name is a secret. A wrapped key is none.
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

// AppendFile opens a file of events to append to. It makes one that only its owner can
// read, and refuses what is no regular file.
func AppendFile(name string) (*os.File, error) {
	if info, err := os.Stat(name); err == nil && !info.Mode().IsRegular() {
		return nil, fmt.Errorf("audit: %s is not a regular file", name)
	}
	return os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
}
