package softlayer

import (
	"errors"
	"fmt"
	"net"
	"strings"
	"time"
	"unicode"
)

// Errors that a caller can act on. Match with errors.Is; the error at hand says more.
var (
	// ErrNotFound: there is no template, or no server, of this name or number.
	ErrNotFound = errors.New("not found")

	// ErrAmbiguous: there is more than one template of this name.
	ErrAmbiguous = errors.New("more than one of this name")

	// ErrExists: a template of this name is there, and not from an earlier run of
	// this import.
	ErrExists = errors.New("a template of this name exists")

	// ErrLost: a call that makes something was sent, its answer did not arrive, and
	// it could not be found out whether it was done. Look before repeating it.
	ErrLost = errors.New("the answer was lost")

	// ErrFailed: the transaction of an import or an order ended with a failure; see
	// [TransactionError].
	ErrFailed = errors.New("the transaction failed")

	// ErrTimeout: a transaction took longer than the caller waits. It goes on.
	ErrTimeout = errors.New("still not ready")
)

// An Error is a call that failed: the API said so, or there was no answer, and then
// Status is zero and Unwrap has the reason. It holds no secret.
type Error struct {
	Op        string // what was to be done: "import"
	Status    int    // of HTTP; 200 is possible
	Code      string // the exception, "SoftLayer_Exception_Public"
	Message   string // the API's words
	RequestID string // if the service gave one

	hint string
	err  error
}

func (e *Error) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "softlayer: %s: ", e.Op)
	switch {
	case e.Message != "":
		b.WriteString(e.Message)
	case e.err != nil:
		b.WriteString(e.err.Error())
	case e.Code != "":
		b.WriteString(e.Code)
	default:
		b.WriteString("failed")
	}
	var more []string
	if e.Code != "" && e.Message != "" {
		more = append(more, e.Code)
	}
	if e.Status != 0 {
		more = append(more, fmt.Sprintf("HTTP %d", e.Status))
	}
	if e.RequestID != "" {
		more = append(more, "request "+e.RequestID)
	}
	if len(more) > 0 {
		fmt.Fprintf(&b, " (%s)", strings.Join(more, ", "))
	}
	return b.String()
}

// Unwrap returns what an error without an answer is about, or nil.
func (e *Error) Unwrap() error { return e.err }

// Is reports whether the API says that there is no such object, for [ErrNotFound].
func (e *Error) Is(target error) bool {
	return target == ErrNotFound && (e.Status == 404 || e.Code == "SoftLayer_Exception_ObjectNotFound")
}

// Hint says what to do about it, or is empty.
func (e *Error) Hint() string {
	if e.hint != "" {
		return e.hint
	}
	if h := hintFor(e.Message + " " + e.Code); h != "" {
		return h
	}
	switch {
	case e.Status == 401 || e.Status == 403:
		return hintCredentials
	case e.Status == 429:
		return "the service limits how often it is called: wait a minute and repeat"
	case e.Status == 0 && e.err != nil:
		return "there was no answer: check the endpoint and the network"
	case e.Status >= 300 && e.Status < 400:
		return "the endpoint redirects, and that is not followed with keys in the call: give the address it redirects to"
	case e.Status >= 500:
		return "the service has a problem: repeat later, and give its support the request ID"
	}
	return ""
}

// lost reports whether the call may have been done all the same: it was sent, and
// there was no answer, or none of the API. An error that the API has words for is an
// answer; a connection that was never made is none.
func (e *Error) lost() bool {
	var op *net.OpError
	switch {
	case e.Status == 0:
		return e.err != nil && !(errors.As(e.err, &op) && op.Op == "dial")
	case e.Status < 300:
		return e.err != nil
	}
	return e.Status >= 500 && e.Code == ""
}

// A TransactionError is an import or an order that was accepted and did not come to a
// good end. It matches [ErrFailed] or [ErrTimeout].
type TransactionError struct {
	Op      string        // "import" or "order"
	ID      int           // of the template or the server
	Step    string        // the last transaction status
	Reason  string        // what the service says about it
	Elapsed time.Duration // since the waiting began

	err error
}

func (e *TransactionError) Error() string {
	s := fmt.Sprintf("softlayer: %s %d: %v", e.Op, e.ID, e.err)
	if e.err == ErrTimeout {
		s += fmt.Sprintf(" after %v", e.Elapsed.Round(time.Second))
	}
	if e.Step != "" {
		s += ", last step " + e.Step
	}
	if e.Reason != "" && e.Reason != e.Step {
		s += ": " + e.Reason
	}
	return s
}

// Unwrap returns [ErrFailed] or [ErrTimeout].
func (e *TransactionError) Unwrap() error { return e.err }

// Hint says what to do about it.
func (e *TransactionError) Hint() string {
	if h := hintFor(e.Reason + " " + e.Step); h != "" {
		return h
	}
	if e.err == ErrTimeout {
		return fmt.Sprintf("the transaction goes on: wait for %s %d again rather than start another one", e.Op, e.ID)
	}
	return "check the authorization of Cloud Block Storage (server-protect) for the key service, the state of the root key, and that bucket and key are in one region"
}

const hintCredentials = "check the user name and the API key of classic infrastructure; with an IAM API key the user is \"apikey\""

// hints maps words of the service to advice. The first that matches counts. There is
// no public list of the messages; these are the ones known.
var hints = []struct{ words, hint string }{
	{"invalid api token", hintCredentials},
	{"invalid network storage service resource protocol", "the address of the image must be cos://REGION/BUCKET/OBJECT"},
	{"authorization", "authorize Cloud Block Storage (server-protect) to read the key service: ibmcloud iam authorization-policy-create server-protect kms Reader"},
	{"suspended", "enable the root key again; while it is suspended no server of the image starts"},
	{"key_action_invalid_state", "enable the root key again; while it is suspended no server of the image starts"},
	{"unprocessable_ciphertext", "the wrapped key does not belong to this root key: wrap the data key again with the root key that is given at the import"},
	{"newline", "the passphrase must be the base64 text without a newline: encrypt again with profile classic-luks"},
	{"decoded", "the passphrase of a RAW image is the base64 text, not the bytes it stands for: encrypt again with profile classic-luks"},
	{"passphrase", "the image was not encrypted with the wrapped key: wrap the same key text that it was encrypted with"},
	{"truncated", "upload the image again and compare its length and checksum"},
	{"same region", "bucket, key service and import must be in one region: copy the object to a regional bucket of the key's region"},
	{"cloud-init", "set cloudInit: an encrypted image must have cloud-init"},
	{"wrappeddek", "an encrypted image needs the wrapped data key and the CRN of its root key"},
	{"crkcrn", "an encrypted image needs the wrapped data key and the CRN of its root key"},
	{"bxnim0415e", "the IAM API key is not known: make one for a service ID that can read the bucket and the root key"},
	{"byol", "Red Hat images that are encrypted need byol"},
	{"exceeds", "the image must be at most 100 GB"},
	{"file name", "name the object IMAGE.raw for LUKS, IMAGE.vhd-0.vhd for VHD"},
	{"ratelimitexceeded", "the service limits how often it is called: wait a minute and repeat"},
}

func hintFor(text string) string {
	text = strings.ToLower(text)
	for _, h := range hints {
		if strings.Contains(text, h.words) {
			return h.hint
		}
	}
	return ""
}

// clean makes what a service said fit for an error: one line of at most 600
// characters, without secrets, should the service repeat them.
func clean(s string, secrets []string) string {
	for _, secret := range secrets {
		if secret != "" {
			s = strings.ReplaceAll(s, secret, "[redacted]")
		}
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
