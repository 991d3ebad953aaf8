package rest

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"unicode"
)

// Errors of all services, for errors.Is.
var (
	// ErrNotFound means that there is no such thing.
	ErrNotFound = NewRefusal("not found", nil)

	// ErrLost means that a call that makes something was sent, its answer did not arrive, and
	// it could not be found out whether it was done. Look before repeating it.
	ErrLost = NewTemporary("the answer was lost")

	// ErrFailed means that what was accepted did not come to a good end.
	ErrFailed = NewRefusal("failed", nil)

	// ErrTimeout means that it took longer than the caller waits. It goes on.
	ErrTimeout = NewTemporary("still not ready")

	// ErrAnswer is an answer that is not one of the service.
	ErrAnswer = errors.New("unexpected answer")
)

// An Error is a call of a service that failed: the service said so, or there was no
// answer, and then Status is zero and Err has the reason. It holds no secret.
type Error struct {
	Service   string // "vpc"
	Op        string // what was to be done: "create image"
	Status    int    // of HTTP; 200 is possible
	Code      string // of the service: "not_found"
	Message   string // the service's words
	Field     string // the field or object that it is about
	RequestID string // what the service's support asks for
	// CorrelationID is what the client gave the call.
	CorrelationID string

	// Err is what kind of error it is, or why there was no answer; nil if there is no more
	// to say than the status does.
	Err error
	// Answered is set if these are words of the service itself, and not of something
	// between: then it has refused even with a status of the 500s.
	Answered bool
	// Advice says what to do about it; "" is what the status says.
	Advice string
}

func (e *Error) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s: ", e.Service, e.Op)
	switch {
	case e.Err != nil && e.Message != "" && e.Err != ErrAnswer && !errors.Is(e.Err, ErrLost):
		fmt.Fprintf(&b, "%v: %s", e.Err, e.Message)
	case e.Message != "":
		b.WriteString(e.Message)
	case e.Err != nil:
		b.WriteString(e.Err.Error())
	case e.Status != 0:
		b.WriteString("refused")
	default:
		b.WriteString("failed")
	}
	var more []string
	for _, m := range []struct{ name, value string }{
		{"", e.Code}, {"field ", e.Field}, {"HTTP ", status(e.Status)}, {"request ", e.RequestID}, {"correlation ", e.CorrelationID},
	} {
		if m.value != "" {
			more = append(more, m.name+m.value)
		}
	}
	if len(more) > 0 {
		fmt.Fprintf(&b, " (%s)", strings.Join(more, ", "))
	}
	return b.String()
}

func status(n int) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprint(n)
}

// Unwrap returns Err.
func (e *Error) Unwrap() error { return e.Err }

// Is reports whether the service says that there is no such thing, for [ErrNotFound].
func (e *Error) Is(target error) bool {
	return target == ErrNotFound && e.Status == http.StatusNotFound
}

// Refused reports whether the service said no: for the credentials, for what they may do,
// or for what was asked.
func (e *Error) Refused() bool {
	if e.Status == 0 {
		return refusedCause(e.Err)
	}
	return !e.Temporary() && !errors.Is(e.Err, ErrAnswer) && (e.Answered || e.Status >= 400 && e.Status < 500)
}

func refusedCause(err error) bool {
	var r interface{ Refused() bool }
	return errors.As(err, &r) && r.Refused()
}

// Temporary reports whether the same call may work later.
func (e *Error) Temporary() bool {
	switch {
	case e.Status == 0:
		return e.Err != nil && !refusedCause(e.Err) && !errors.Is(e.Err, ErrAddress) && !errors.Is(e.Err, errBuild)
	case e.Status == http.StatusTooManyRequests, e.Status == http.StatusRequestTimeout, e.limited():
		return true
	}
	return e.Status >= 500 && !e.Answered || errors.Is(e.Err, ErrAnswer)
}

// limited reports whether the service says, with any status, that it was asked too often.
func (e *Error) limited() bool {
	return e.Status == http.StatusTooManyRequests || strings.Contains(e.Code, "RateLimit") || strings.HasPrefix(e.Code, "Throttling")
}

// Lost reports whether the call may have been done all the same: it was sent, and there
// was no answer, or none of the service. A connection that was never made is none.
func (e *Error) Lost() bool {
	switch {
	case e.Status == 0:
		return e.Err != nil && !neverSent(e.Err)
	case e.limited():
		return false
	case e.Status < 300:
		return errors.Is(e.Err, ErrAnswer)
	}
	return e.Status >= 500 && !e.Answered
}

// Lost returns the error of a call that may have been done, as [ErrLost].
func Lost(e *Error, advice string) error {
	because := e.Message
	if because == "" && e.Err != nil {
		because = e.Err.Error()
	}
	if because == "" {
		because = http.StatusText(e.Status)
	}
	l := *e
	l.Message, l.Err, l.Advice = fmt.Sprintf("%v: %s", ErrLost, because), errors.Join(ErrLost, e.Err), advice
	return &l
}

// Hint says what to do about it, or is empty.
func (e *Error) Hint() string {
	var h interface{ Hint() string }
	switch {
	case e.Advice != "":
		return e.Advice
	case e.Status == 0 && errors.Is(e.Err, ErrToken) && errors.As(e.Err, &h):
		return h.Hint()
	case e.limited():
		return "the service limits how often it is called: wait a minute and repeat"
	case e.Status == 0 && e.Err != nil:
		return "there was no answer: check the endpoint and the network"
	case e.Status >= 300 && e.Status < 400:
		return "the endpoint redirects, and that is not followed with credentials in the call: give the address it redirects to"
	case e.Status >= 500 && !e.Answered:
		return "the service has a problem: repeat later, and give its support the request ID"
	}
	return ""
}

// Redact replaces secrets in the message of a service. No copy of them is made.
func Redact(message string, secrets ...[]byte) string {
	for _, s := range secrets {
		if text := []byte(message); len(s) >= shortest && bytes.Contains(text, s) {
			message = string(bytes.ReplaceAll(text, s, []byte("[redacted]")))
			clear(text)
		}
	}
	return message
}

// shortest is the length of the shortest secret that is looked for: what is shorter is in
// any text.
const shortest = 4

// Clean makes the message of a service fit for an error: one line of printable
// characters, at most 600 of them, and no secret that was sent to the service, which might
// have come back in it.
func Clean(message string, secrets ...string) string {
	for _, s := range secrets {
		if len(s) >= shortest {
			message = strings.ReplaceAll(message, s, "[redacted]")
		}
	}
	message = strings.TrimSpace(strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) {
			return ' '
		}
		if !unicode.IsPrint(r) || r == unicode.ReplacementChar {
			return -1
		}
		return r
	}, message))
	if runes := []rune(message); len(runes) > 600 {
		message = string(runes[:600]) + "..."
	}
	return message
}

// A refusal is an error of a service that said no.
type refusal struct {
	text  string
	wider error
}

// NewRefusal returns an error for errors.Is that says what a service refused for. It
// matches wider too, unless that is nil.
func NewRefusal(text string, wider error) error { return &refusal{text, wider} }

func (r *refusal) Error() string        { return r.text }
func (r *refusal) Unwrap() error        { return r.wider }
func (r *refusal) Refused() bool        { return true }
func (r *refusal) Is(target error) bool { return target == error(r) }
