package rest

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"unicode"
)

// Errors common to all services, for errors.Is.
var (
	// ErrNotFound means that the resource does not exist.
	ErrNotFound = NewRefusal("not found", nil)

	// ErrLost means that the reply to a creating call was lost, and that the client could
	// not determine whether the call took effect. Check before you repeat the call.
	ErrLost = NewTemporary("the response was lost")

	// ErrFailed means that an accepted operation failed.
	ErrFailed = NewRefusal("failed", nil)

	// ErrTimeout means that an operation exceeded the waiting time. The operation continues.
	ErrTimeout = NewTemporary("still not ready")

	// ErrAnswer means that a response does not conform to the API.
	ErrAnswer = errors.New("unexpected response")
)

// An Error is a failed call to a service. If there was no response, Status is zero and Err
// has the reason. It holds no secret.
type Error struct {
	Service   string // "vpc"
	Op        string // the operation: "create image"
	Status    int    // HTTP status; can be 200
	Code      string // error code of the service: "not_found"
	Message   string // message of the service
	Field     string // the field or object concerned
	RequestID string // for the support of the service
	// CorrelationID is the ID that the client sent with the call.
	CorrelationID string

	// Err is the kind of error, or the reason why there was no response. It is nil if only the
	// status is known.
	Err error
	// Answered is set if the message comes from the service itself, not from a proxy.
	// The service then has refused the call even with a 5xx status.
	Answered bool
	// Advice says what to do; "" means the advice for the status.
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
	case e.Status != 0 && e.Temporary():
		b.WriteString("unavailable")
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

// Is reports whether target is [ErrNotFound] and the service answered that the resource does not exist.
func (e *Error) Is(target error) bool {
	return target == ErrNotFound && e.Status == http.StatusNotFound
}

// Refused reports whether the service refused the call because of its credentials, permissions
// or parameters.
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

// Temporary reports whether the same call can succeed later.
func (e *Error) Temporary() bool {
	switch {
	case e.Status == 0:
		return e.Err != nil && !refusedCause(e.Err) && !errors.Is(e.Err, ErrAddress) && !errors.Is(e.Err, errBuild)
	case e.Status == http.StatusTooManyRequests, e.Status == http.StatusRequestTimeout, e.limited():
		return true
	}
	return e.Status >= 500 && !e.Answered || errors.Is(e.Err, ErrAnswer)
}

// limited reports whether the service, with any status, limits the rate of calls.
func (e *Error) limited() bool {
	return e.Status == http.StatusTooManyRequests || strings.Contains(e.Code, "RateLimit") || strings.HasPrefix(e.Code, "Throttling")
}

// Lost reports whether the call may have taken effect: it was sent, and there
// was no response from the service. It is false if no connection was made.
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

// Lost returns the [ErrLost] error for a call that may have taken effect.
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

// NoHost reports whether the host name does not exist.
func NoHost(err error) bool {
	var d *net.DNSError
	return errors.As(err, &d) && d.IsNotFound
}

// Hint returns advice, or "".
func (e *Error) Hint() string {
	var h interface{ Hint() string }
	switch {
	case e.Advice != "":
		return e.Advice
	case e.Status == 0 && errors.Is(e.Err, ErrToken) && errors.As(e.Err, &h):
		return h.Hint()
	case e.limited():
		return "the service limits the rate of calls: retry in a minute"
	case e.Status == 0 && NoHost(e.Err):
		return "the host does not exist: check the region and the endpoint"
	case e.Status == 0 && e.Err != nil:
		return "there was no response: check the endpoint and the network"
	case e.Status >= 300 && e.Status < 400:
		return "the endpoint redirects, and calls with credentials do not follow redirects: give the address it redirects to"
	case e.Status >= 500 && !e.Answered:
		return "the service has a problem: retry later, and give its support the request ID"
	}
	return ""
}

// Redact replaces secrets in a message of a service, without copying them.
func Redact(message string, secrets ...[]byte) string {
	for _, s := range secrets {
		if text := []byte(message); len(s) >= shortest && bytes.Contains(text, s) {
			message = string(bytes.ReplaceAll(text, s, []byte("[redacted]")))
			clear(text)
		}
	}
	return message
}

// shortest is the minimum length of a secret to replace. Shorter strings would match
// anywhere.
const shortest = 4

// Clean prepares a message of a service for an error: one line of at most 600 printable
// characters. It removes secrets that were sent to the service, in case the
// message repeats them.
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

// A refusal is the error of a call that a service refused.
type refusal struct {
	text  string
	wider error
}

// NewRefusal returns a sentinel error for a kind of refusal. It also matches wider, unless that is
// nil.
func NewRefusal(text string, wider error) error { return &refusal{text, wider} }

func (r *refusal) Error() string        { return r.text }
func (r *refusal) Unwrap() error        { return r.wider }
func (r *refusal) Refused() bool        { return true }
func (r *refusal) Is(target error) bool { return target == error(r) }
