package softlayer

import (
	"fmt"
	"strings"
	"time"

	"github.com/luksimg/luksimg/internal/advice"
	"github.com/luksimg/luksimg/internal/rest"
)

// Errors that a caller can act on. Match them with errors.Is; the returned errors have details.
var (
	// ErrNotFound means that no template or server has the given name or number.
	ErrNotFound = rest.ErrNotFound

	// ErrAmbiguous means that several templates have the given name.
	ErrAmbiguous = advice.New("several templates have this name", "use the number or the global identifier")

	// ErrExists means that a template with the name exists and does not come from an earlier run of
	// the same import.
	ErrExists = advice.With(rest.NewRefusal("a template with this name exists", nil),
		"choose another name with --name, or give the note of the run that created it with --note")

	// ErrLost means that the reply to a creating call was lost, and that the client could
	// not determine whether the call took effect. Check before you repeat the call.
	ErrLost = rest.ErrLost

	// ErrFailed means that the transaction of an import or an order failed; see
	// [TransactionError].
	ErrFailed = rest.ErrFailed

	// ErrTimeout means that a transaction exceeded the waiting time. The transaction continues.
	ErrTimeout = rest.ErrTimeout
)

// An Error is a failed call. If there was no response, Status is zero and Err has the
// reason. It holds no secret.
type Error = rest.Error

// advised adds advice to an error.
func advised(e *Error) *Error {
	if e.Advice = hintFor(e.Message + " " + e.Code); e.Advice == "" && (e.Status == 401 || e.Status == 403) {
		e.Advice = hintCredentials
	}
	return e
}

// A TransactionError means that an accepted import, export or order failed or has not finished
// in time. It matches [ErrFailed] or [ErrTimeout].
type TransactionError struct {
	Op      string        // "import", "export" or "order"
	ID      int           // of the template or the server
	Step    string        // the last transaction status
	Reason  string        // explanation by the service
	Elapsed time.Duration // since waiting began

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

// Hint returns advice.
func (e *TransactionError) Hint() string {
	if h := hintFor(e.Reason + " " + e.Step); h != "" {
		return h
	}
	if e.err == ErrTimeout {
		return fmt.Sprintf("the transaction continues: wait for %s %d again instead of starting another one", e.Op, e.ID)
	}
	switch e.Op {
	case "import":
		return "check the authorization of Cloud Block Storage (server-protect) for the key service, the state of the root key, and that bucket and key are in one region"
	case "export":
		return "check the name of the bucket, and that the API key of the export has write access to it (role Writer)"
	}
	return fmt.Sprintf("slcli vs detail %d shows details; IBM support knows the reason", e.ID)
}

const (
	hintCredentials = "check the user name and the API key of classic infrastructure; with an IAM API key the user is \"apikey\""
	hintCloudInit   = "an encrypted image must have cloud-init: if it does, give --cloud-init (cloudInit)"
	hintBYOL        = "an encrypted Red Hat image requires your own license: if you have one, give --byol (byol)"
)

// hints maps words in messages of the service to advice. The first match counts. IBM publishes
// no list of the messages; these are the known ones.
var hints = []struct{ words, hint string }{
	{"invalid api token", hintCredentials},
	{"invalid network storage service resource protocol", "the address of the image must be cos://REGION/BUCKET/OBJECT"},
	{"operatingsystemreferencecode", "luksimg import --list-os-codes lists the operating systems that images can have"},
	{"is not ready", "wait until the import of the template has ended; if it failed, remove the template (slcli image delete) and import the image again"},
	{"another transaction", "wait until the other transaction has ended; if it failed, remove the template (slcli image delete) and import the image again"},
	{"authorization", "authorize Cloud Block Storage (server-protect) to read the key service: ibmcloud iam authorization-policy-create server-protect kms Reader"},
	{"suspended", "enable the root key again; while it is suspended no server of the image starts"},
	{"key_action_invalid_state", "enable the root key again; while it is suspended no server of the image starts"},
	{"unprocessable_ciphertext", "the wrapped key does not belong to this root key: wrap the data key again with the root key that is given at the import"},
	{"newline", "the passphrase must be the base64 text without a newline: encrypt again with profile classic-luks"},
	{"decoded", "the passphrase of a RAW image is the base64 text, not the decoded bytes: encrypt again with profile classic-luks"},
	{"passphrase", "the image was not encrypted with the wrapped key: wrap the exact key text used for encryption"},
	{"truncated", "upload the image again and compare its length and checksum"},
	{"same region", "bucket, key service and import must be in one region: copy the object to a regional bucket of the key's region"},
	{"cloud-init", hintCloudInit},
	{"wrappeddek", "an encrypted image needs the wrapped data key and the CRN of its root key"},
	{"crkcrn", "an encrypted image needs the wrapped data key and the CRN of its root key"},
	{"bxnim0415e", "the IAM API key is not known: create one for a service ID that can read the bucket and the root key"},
	{"byol", hintBYOL},
	{"exceeds", "the image must be at most 100 GB"},
	{"file name", "name the object IMAGE.raw for LUKS, IMAGE.vhd-0.vhd for VHD"},
	{"not in datacenter", "order in a datacenter that has the template: slcli image detail TEMPLATE lists them"},
	{"ratelimitexceeded", "the service limits the rate of calls: retry in a minute"},
	{"boot s", "the disk is not bootable, or the wrapped key is not its encryption key: luksimg verify compares the image with its source and that key"},
	{"fetch_object", "check the name of the object, and that the API key of the import has read access to the bucket (role Reader)"},
	{"object cannot be read", "check the name of the object, and that the API key of the import has read access to the bucket (role Reader)"},
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
