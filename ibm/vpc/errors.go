package vpc

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"
	"unicode"
)

// Errors that a caller can act on. Match with errors.Is; the error at hand says more.
var (
	// ErrNotFound: there is no such image or instance.
	ErrNotFound = errors.New("not found")

	// ErrExists: an image, or an instance, of this name is there.
	ErrExists = errors.New("there is one of this name")

	// ErrLost: a call that makes something was sent, its answer did not arrive, and
	// what it should have made was not found. Look before repeating it.
	ErrLost = errors.New("the answer was lost")

	// ErrFailed: the image or the instance failed; see [StatusError].
	ErrFailed = errors.New("failed")

	// ErrTimeout: it took longer than the caller waits. It goes on.
	ErrTimeout = errors.New("still not ready")
)

// An Error is a call that failed: the API said so, or there was no answer, and then
// Status is zero and Unwrap has the reason. It holds no secret.
type Error struct {
	Op            string // what was to be done: "create image"
	Status        int    // of HTTP
	Code          string // of the first error: "not_found"
	Message       string // the API's words
	Target        string // the field or object that it is about
	MoreInfo      string // an address
	RequestID     string // of the service: its trace, or the header X-Request-Id
	CorrelationID string // of the client

	err error
}

// read takes the errors of an answer, and reports whether it has some.
func (e *Error) read(text []byte, token string) bool {
	var j struct {
		Errors []struct {
			Code     string `json:"code"`
			Message  string `json:"message"`
			MoreInfo string `json:"more_info"`
			Target   struct {
				Name string `json:"name"`
			} `json:"target"`
		} `json:"errors"`
		Trace string `json:"trace"`
	}
	if json.Unmarshal(text, &j) != nil || len(j.Errors) == 0 {
		return false
	}
	first := j.Errors[0]
	e.Code, e.Message = clean(first.Code, token), clean(first.Message, token)
	e.MoreInfo, e.Target = clean(first.MoreInfo, token), clean(first.Target.Name, token)
	if j.Trace != "" {
		e.RequestID = clean(j.Trace, token)
	}
	return true
}

func (e *Error) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "vpc: %s: ", e.Op)
	switch {
	case e.Message != "":
		b.WriteString(e.Message)
	case e.err != nil:
		b.WriteString(e.err.Error())
	default:
		b.WriteString("refused")
	}
	var more []string
	for _, m := range []struct{ name, value string }{
		{"", e.Code}, {"field ", e.Target}, {"request ", e.RequestID}, {"correlation ", e.CorrelationID},
	} {
		if m.value != "" {
			more = append(more, m.name+m.value)
		}
	}
	if e.Status != 0 {
		more = append(more, fmt.Sprintf("HTTP %d", e.Status))
	}
	if len(more) > 0 {
		fmt.Fprintf(&b, " (%s)", strings.Join(more, ", "))
	}
	return b.String()
}

// Unwrap returns what an error without an answer is about, or nil.
func (e *Error) Unwrap() error { return e.err }

// Is reports whether the API says that there is no such object, for [ErrNotFound].
func (e *Error) Is(target error) bool { return target == ErrNotFound && e.Status == 404 }

// Hint says what to do about it, or is empty.
func (e *Error) Hint() string {
	switch {
	case errors.Is(e.err, ErrLost):
		return "look whether it was made before repeating the call"
	case e.Status == 0 && e.err != nil:
		return "there was no answer: check the region, the endpoint and the network"
	case e.Status == 401:
		return "check the API key of IAM"
	case e.Status == 403:
		return "the API key needs the role Editor for VPC Infrastructure Services, and the image service needs authorizations for Cloud Object Storage (Reader) and the key service (Reader)"
	case e.Status == 429:
		return "the service limits how often it is called: wait a minute and repeat"
	case strings.Contains(e.Code, "quota"), strings.Contains(e.Code, "over_quota"):
		return "a quota of the account is used up"
	case strings.Contains(e.Target, "encryption_key"), strings.Contains(e.Target, "encrypted_data_key"):
		return "give the CRN of the root key and the ciphertext exactly as the key service returned it"
	case strings.Contains(e.Target, "file"):
		return "the file must be cos://REGION/BUCKET/OBJECT.qcow2 in a bucket that the image service may read"
	case e.Status >= 300 && e.Status < 400:
		return "the endpoint redirects, and that is not followed with a token in the call"
	case e.Status >= 500:
		return "the service has a problem: repeat later, and give its support the request ID"
	case e.MoreInfo != "":
		return "see " + e.MoreInfo
	}
	return ""
}

// lost reports whether the call may have been done all the same.
func (e *Error) lost() bool {
	var op *net.OpError
	if e.Status == 0 {
		return !(errors.As(e.err, &op) && op.Op == "dial")
	}
	return e.err != nil && (e.Status < 300 || e.Status >= 500)
}

func (e *Error) asLost() error {
	because := e.Message
	if because == "" && e.err != nil {
		because = e.err.Error()
	}
	l := *e
	l.Message, l.err = fmt.Sprintf("%v: %s", ErrLost, because), errors.Join(ErrLost, e.err)
	return &l
}

// reasons explains the codes of status_reasons.
var reasons = map[string]struct{ meaning, hint string }{
	"encrypted_data_key_invalid": {"the wrapped key can not be unwrapped with the root key",
		"wrap the passphrase again with this root key, as base64 without a newline, and without additional authenticated data"},
	"encryption_key_deleted": {"the root key was deleted",
		"restore the root key within 30 days, or encrypt and import again with another one"},
	"encryption_key_disabled": {"the root key is disabled",
		"enable the root key; while it is disabled no instance of the image starts"},
	"image_data_corrupted": {"the file can not be read as an image with this key",
		"check that the passphrase is the decoded text, without a newline, and upload the file again"},
	"image_provisioned_size_unsupported": {"the disk is larger than images may be",
		"the disk must be at most 250 GB"},
	"image_request_in_progress": {"the image is being made", "wait"},
	"image_request_queued":      {"the image waits for its turn", "wait"},
}

// Explain says what a code of status_reasons means and what to do about it. Codes that
// are not known are explained by themselves.
func Explain(code string) (meaning, hint string) {
	r, ok := reasons[code]
	if !ok {
		return clean(code, ""), ""
	}
	return r.meaning, r.hint
}

// A StatusError is an image or an instance that was accepted and did not come to a good
// end. It matches [ErrFailed] or [ErrTimeout].
type StatusError struct {
	Op      string         // "image" or "instance"
	ID      string         // its ID
	Status  string         // the last status: "failed"
	Reasons []StatusReason // as the service gave them
	Elapsed time.Duration  // since the waiting began

	err error
}

func (e *StatusError) Error() string {
	s := fmt.Sprintf("vpc: %s %s: %v, status %s", e.Op, e.ID, e.err, e.Status)
	if e.err == ErrTimeout {
		s += fmt.Sprintf(" after %v", e.Elapsed.Round(time.Second))
	}
	for _, r := range e.Reasons {
		meaning, _ := Explain(r.Code)
		s += ": " + meaning
		if r.Code != meaning {
			s += " (" + r.Code + ")"
		}
		if m := clean(r.Message, ""); m != "" {
			s += ": " + m
		}
	}
	return s
}

// Unwrap returns [ErrFailed] or [ErrTimeout].
func (e *StatusError) Unwrap() error { return e.err }

// Hint says what to do about it, or is empty.
func (e *StatusError) Hint() string {
	for _, r := range e.Reasons {
		if _, hint := Explain(r.Code); hint != "" {
			return hint
		}
	}
	if e.err == ErrTimeout {
		return fmt.Sprintf("it goes on: wait for %s %s again rather than make another one", e.Op, e.ID)
	}
	return "check the authorization of the service for the key service, and the state of the root key"
}

// clean makes what a service said fit for an error: one line of at most 600
// characters, without the token, should the service repeat it.
func clean(s, token string) string {
	if token != "" {
		s = strings.ReplaceAll(s, token, "[redacted]")
	}
	s = strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) {
			return ' '
		}
		if !unicode.IsPrint(r) {
			return -1
		}
		return r
	}, s)
	s = strings.TrimSpace(s)
	if r := []rune(s); len(r) > 600 {
		s = string(r[:600]) + "..."
	}
	return s
}
