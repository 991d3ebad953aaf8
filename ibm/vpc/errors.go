package vpc

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/luksimg/luksimg/internal/advice"
	"github.com/luksimg/luksimg/internal/rest"
)

// Errors that a caller can act on. Match them with errors.Is; the returned errors have details.
var (
	// ErrExists means that an image, an instance or an export job with the name exists.
	ErrExists = advice.With(rest.NewRefusal("a resource with this name exists", nil), "names are unique in VPC: choose another one")

	// ErrNotFound means that the image, instance or export job does not exist.
	ErrNotFound = rest.ErrNotFound

	// ErrLost means that the reply to a creating call was lost, and that the client did
	// not find the resource. Check before you repeat the call.
	ErrLost = rest.ErrLost

	// ErrFailed means that an image, instance or export job failed; see [StatusError].
	ErrFailed = rest.ErrFailed

	// ErrTimeout means that an operation exceeded the waiting time. The operation continues.
	ErrTimeout = rest.ErrTimeout
)

// An Error is a failed call. If there was no response, Status is zero and Err has the
// reason. It holds no secret.
type Error = rest.Error

// read copies the errors of a response to e, and reports whether it has any.
func read(e *Error, text []byte, token string) bool {
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
	e.Code, e.Message, e.Field = rest.Clean(first.Code, token), rest.Clean(first.Message, token), rest.Clean(first.Target.Name, token)
	e.Answered = e.Status < 500
	if j.Trace != "" {
		e.RequestID = rest.Clean(j.Trace, token)
	}
	if first.MoreInfo != "" {
		e.Advice = "see " + rest.Clean(first.MoreInfo, token)
	}
	return true
}

// advised adds advice to an error.
func advised(e *Error) *Error {
	switch {
	case e.Status == 401:
		e.Advice = "check the API key of IAM"
	case e.Status == 403:
		e.Advice = "the API key needs the role Editor for VPC Infrastructure Services; the image service needs an authorization for Cloud Object Storage (Reader), and Cloud Block Storage one for the key service (Reader)"
	case e.Code == "volume_crn_invalid":
		e.Advice = "check that the root key exists and is enabled, and that Cloud Block Storage (server-protect) has an authorization for the key service: luksimg setup --target vpc creates it"
	case strings.Contains(e.Code, "quota"):
		e.Advice = "a quota of the account is used up"
	case strings.Contains(e.Field, "encryption_key"), strings.Contains(e.Field, "encrypted_data_key"):
		e.Advice = "give the CRN of the root key and the ciphertext exactly as the key service returned it"
	case strings.Contains(e.Field, "file"):
		e.Advice = "the file must be cos://REGION/BUCKET/OBJECT.qcow2 in a bucket that the image service can read"
	case e.Temporary():
		e.Advice = ""
	}
	return e
}

// reasons explains the codes in status_reasons.
var reasons = map[string]struct{ meaning, hint string }{
	"encrypted_data_key_invalid": {"the root key cannot unwrap the wrapped key",
		"wrap the passphrase again with this root key, as base64 without a newline, and without additional authenticated data"},
	"encryption_key_deleted": {"the root key was deleted",
		"restore the root key within 30 days, or encrypt and import again with another one"},
	"encryption_key_disabled": {"the root key is disabled",
		"enable the root key; while it is disabled no instance of the image starts"},
	"image_data_corrupted": {"the file is not readable as an image with this key",
		"check that the object exists and is whole, and that the passphrase is the decoded text of the wrapped key, without a newline"},
	"image_provisioned_size_unsupported": {"the disk exceeds the size limit of images",
		"the disk must be at most 250 GB"},
	"cannot_access_storage_bucket": {"the image service cannot write to the bucket",
		"check the name of the bucket, and let the image service write to it: ibmcloud iam authorization-policy-create is cloud-object-storage Writer --source-resource-type image"},
	"image_request_in_progress": {"the image is being created", "wait"},
	"image_request_queued":      {"the image creation is queued", "wait"},
}

// Explain returns the meaning of a code in status_reasons, and advice. An unknown
// code is its own meaning.
func Explain(code string) (meaning, hint string) {
	r, ok := reasons[code]
	if !ok {
		return rest.Clean(code), ""
	}
	return r.meaning, r.hint
}

// unauthorized explains codes that have another cause if their message mentions an authorization.
var unauthorized = map[string]struct{ meaning, hint string }{
	"image_data_corrupted": {"the image service has no permission to read the file",
		"luksimg setup --target vpc lets the image service read Object Storage, or: ibmcloud iam authorization-policy-create is cloud-object-storage Reader --source-resource-type image"},
	"encrypted_data_key_invalid": {"Cloud Block Storage has no permission to use the root key",
		"luksimg setup --target vpc lets Cloud Block Storage (server-protect) use the root key"},
}

// explain is [Explain] that also considers the message.
func (r StatusReason) explain() (meaning, hint string) {
	if u, ok := unauthorized[r.Code]; ok && strings.Contains(strings.ToLower(r.Message), "authorization") {
		return u.meaning, u.hint
	}
	return Explain(r.Code)
}

// A StatusError means that an accepted image, instance or export job failed or has not finished
// in time. It matches [ErrFailed] or [ErrTimeout].
type StatusError struct {
	Op      string         // "image", "instance" or "export job"
	ID      string         // its ID
	Status  string         // the last status: "failed"
	Reasons []StatusReason // from the service
	Elapsed time.Duration  // since waiting began

	err error
}

func (e *StatusError) Error() string {
	s := fmt.Sprintf("vpc: %s %s: %v, status %s", e.Op, e.ID, e.err, e.Status)
	if e.err == ErrTimeout {
		s += fmt.Sprintf(" after %v", e.Elapsed.Round(time.Second))
	}
	for _, r := range e.Reasons {
		meaning, _ := r.explain()
		s += ": " + meaning
		if r.Code != meaning {
			s += " (" + r.Code + ")"
		}
		if m := rest.Clean(r.Message); m != "" {
			s += ": " + m
		}
	}
	return s
}

// Unwrap returns [ErrFailed] or [ErrTimeout].
func (e *StatusError) Unwrap() error { return e.err }

// Hint returns advice, or "".
func (e *StatusError) Hint() string {
	for _, r := range e.Reasons {
		if _, hint := r.explain(); hint != "" {
			return hint
		}
	}
	if e.err == ErrTimeout {
		return fmt.Sprintf("the operation continues: wait for %s %s again instead of starting another one", e.Op, e.ID)
	}
	if e.Op == "export job" {
		return reasons["cannot_access_storage_bucket"].hint
	}
	return "check the authorization of the service for the key service, and the state of the root key"
}
