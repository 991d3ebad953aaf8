package softlayer

import (
	"fmt"
	"strings"
	"time"

	"github.com/luksimg/luksimg/internal/advice"
	"github.com/luksimg/luksimg/internal/rest"
)

// Errors that a caller can act on. Match with errors.Is; the error at hand says more.
var (
	// ErrNotFound means that there is no template, or no server, of this name or number.
	ErrNotFound = rest.ErrNotFound

	// ErrAmbiguous means that there is more than one template of this name.
	ErrAmbiguous = advice.New("more than one of this name", "name it by its number or its global identifier")

	// ErrExists means that a template of this name is there, and not from an earlier run of
	// this import.
	ErrExists = advice.With(rest.NewRefusal("a template of this name exists", nil),
		"give another name with --name, or the note of the run that made it with --note")

	// ErrLost means that a call that makes something was sent, its answer did not arrive, and
	// it could not be found out whether it was done. Look before repeating it.
	ErrLost = rest.ErrLost

	// ErrFailed means that the transaction of an import or an order ended with a failure; see
	// [TransactionError].
	ErrFailed = rest.ErrFailed

	// ErrTimeout means that a transaction took longer than the caller waits. It goes on.
	ErrTimeout = rest.ErrTimeout
)

// An Error is a call that failed: the API said so, or there was no answer, and then
// Status is zero and Err has the reason. It holds no secret.
type Error = rest.Error

// advised puts advice into an error.
func advised(e *Error) *Error {
	if e.Advice = hintFor(e.Message + " " + e.Code); e.Advice == "" && (e.Status == 401 || e.Status == 403) {
		e.Advice = hintCredentials
	}
	return e
}

// A TransactionError is an import or an order that was accepted and did not come to a
// good end. It matches [ErrFailed] or [ErrTimeout].
type TransactionError struct {
	Op      string        // "import", "export" or "order"
	ID      int           // of the template or the server
	Step    string        // the last transaction status
	Reason  string        // what the service says about it
	Elapsed time.Duration // since the waiting began

	err error
}

func (e *TransactionError) Error() string {
	s := fmt.Sprintf("softlayer: %s %d: ", e.Op, e.ID)
	if e.err == ErrFailed {
		s += "the transaction "
	}
	s += e.err.Error()
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
	switch e.Op {
	case "import":
		return "check the authorization of Cloud Block Storage (server-protect) for the key service, the state of the root key, and that bucket and key are in one region"
	case "export":
		return "check the name of the bucket, and that the API key of the export may write to it (role Writer)"
	}
	return fmt.Sprintf("slcli vs detail %d tells more; support of the service has the reason", e.ID)
}

const (
	hintCredentials = "check the user name and the API key of classic infrastructure; with an IAM API key the user is \"apikey\""
	hintCloudInit   = "an encrypted image must have cloud-init: if it has, say so with --cloud-init (cloudInit)"
	hintBYOL        = "an encrypted Red Hat image needs a license of your own: if you have one, say so with --byol (byol)"
)

// hints maps words of the service to advice. The first that matches counts. There is
// no public list of the messages; these are the ones known.
var hints = []struct{ words, hint string }{
	{"invalid api token", hintCredentials},
	{"invalid network storage service resource protocol", "the address of the image must be cos://REGION/BUCKET/OBJECT"},
	{"operatingsystemreferencecode", "luksimg import --list-os-codes lists the operating systems that images can have"},
	{"is not ready", "wait until the import of the template has ended; if that failed, remove the template (slcli image delete) and import the image again"},
	{"another transaction", "wait until the other transaction has ended; after one that failed, remove the template (slcli image delete) and make it again"},
	{"authorization", "authorize Cloud Block Storage (server-protect) to read the key service: ibmcloud iam authorization-policy-create server-protect kms Reader"},
	{"suspended", "enable the root key again; while it is suspended no server of the image starts"},
	{"key_action_invalid_state", "enable the root key again; while it is suspended no server of the image starts"},
	{"unprocessable_ciphertext", "the wrapped key does not belong to this root key: wrap the data key again with the root key that is given at the import"},
	{"newline", "the passphrase must be the base64 text without a newline: encrypt again with profile classic-luks"},
	{"decoded", "the passphrase of a RAW image is the base64 text, not the bytes it stands for: encrypt again with profile classic-luks"},
	{"passphrase", "the image was not encrypted with the wrapped key: wrap the same key text that it was encrypted with"},
	{"truncated", "upload the image again and compare its length and checksum"},
	{"same region", "bucket, key service and import must be in one region: copy the object to a regional bucket of the key's region"},
	{"cloud-init", hintCloudInit},
	{"wrappeddek", "an encrypted image needs the wrapped data key and the CRN of its root key"},
	{"crkcrn", "an encrypted image needs the wrapped data key and the CRN of its root key"},
	{"bxnim0415e", "the IAM API key is not known: make one for a service ID that can read the bucket and the root key"},
	{"byol", hintBYOL},
	{"exceeds", "the image must be at most 100 GB"},
	{"file name", "name the object IMAGE.raw for LUKS, IMAGE.vhd-0.vhd for VHD"},
	{"not in datacenter", "order in a datacenter that has the template: slcli image detail TEMPLATE lists them"},
	{"ratelimitexceeded", "the service limits how often it is called: wait a minute and repeat"},
	{"boot s", "the disk can not boot, or was encrypted with another key than the one that is wrapped: luksimg verify compares the image with its source and that key"},
	{"fetch_object", "check the name of the object, and that the API key of the import may read the bucket (role Reader)"},
	{"object can not be read", "check the name of the object, and that the API key of the import may read the bucket (role Reader)"},
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
