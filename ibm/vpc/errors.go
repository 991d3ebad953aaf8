package vpc

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/luksimg/luksimg/internal/advice"
	"github.com/luksimg/luksimg/internal/rest"
)

// Errors for errors.Is; the error at hand says more.
var (
	// ErrExists means that an image, or an instance, of this name is there.
	ErrExists = advice.With(rest.NewRefusal("there is one of this name", nil), "names are unique in VPC: give another one")

	// ErrNotFound means that there is no such image or instance.
	ErrNotFound = rest.ErrNotFound

	// ErrLost means that a call that makes something was sent, its answer did not arrive, and
	// what it should have made was not found. Look before repeating it.
	ErrLost = rest.ErrLost

	// ErrFailed means that the image or the instance failed; see [StatusError].
	ErrFailed = rest.ErrFailed

	// ErrTimeout means that it took longer than the caller waits. It goes on.
	ErrTimeout = rest.ErrTimeout
)

// An Error is a call that failed: the API said so, or there was no answer, and then
// Status is zero and Err has the reason. It holds no secret.
type Error = rest.Error

// read takes the errors of an answer, and reports whether it has some.
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

// advised puts advice into an error.
func advised(e *Error) *Error {
	switch {
	case e.Status == 401:
		e.Advice = "check the API key of IAM"
	case e.Status == 403:
		e.Advice = "the API key needs the role Editor for VPC Infrastructure Services; the image service needs an authorization for Cloud Object Storage (Reader), and Cloud Block Storage one for the key service (Reader)"
	case e.Code == "volume_crn_invalid":
		e.Advice = "check that the root key is there and enabled, and that Cloud Block Storage (server-protect) has an authorization for the key service: luksimg setup --target vpc makes it"
	case strings.Contains(e.Code, "quota"):
		e.Advice = "a quota of the account is used up"
	case strings.Contains(e.Field, "encryption_key"), strings.Contains(e.Field, "encrypted_data_key"):
		e.Advice = "give the CRN of the root key and the ciphertext exactly as the key service returned it"
	case strings.Contains(e.Field, "file"):
		e.Advice = "the file must be cos://REGION/BUCKET/OBJECT.qcow2 in a bucket that the image service may read"
	case e.Temporary():
		e.Advice = ""
	}
	return e
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
	"cannot_access_storage_bucket": {"the image service can not write to the bucket",
		"check the name of the bucket, and let the image service write to it: ibmcloud iam authorization-policy-create is cloud-object-storage Writer --source-resource-type image"},
	"image_request_in_progress": {"the image is being made", "wait"},
	"image_request_queued":      {"the image waits for its turn", "wait"},
}

// Explain says what a code of status_reasons means and what to do about it. Codes that
// are not known are explained by themselves.
func Explain(code string) (meaning, hint string) {
	r, ok := reasons[code]
	if !ok {
		return rest.Clean(code), ""
	}
	return r.meaning, r.hint
}

// unauthorized explains those codes that have another cause if their message is about an authorization.
var unauthorized = map[string]struct{ meaning, hint string }{
	"image_data_corrupted": {"the image service may not read the file",
		"luksimg setup --target vpc lets the image service read Object Storage, or: ibmcloud iam authorization-policy-create is cloud-object-storage Reader --source-resource-type image"},
	"encrypted_data_key_invalid": {"Cloud Block Storage may not use the root key",
		"luksimg setup --target vpc lets Cloud Block Storage (server-protect) use the root key"},
}

// explain is [Explain], which also looks at the message.
func (r StatusReason) explain() (meaning, hint string) {
	if u, ok := unauthorized[r.Code]; ok && strings.Contains(strings.ToLower(r.Message), "authorization") {
		return u.meaning, u.hint
	}
	return Explain(r.Code)
}

// A StatusError is an image, an instance or an export job that was accepted and did not come to a good
// end. It matches [ErrFailed] or [ErrTimeout].
type StatusError struct {
	Op      string         // "image", "instance" or "export job"
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

// Hint says what to do about it, or is empty.
func (e *StatusError) Hint() string {
	for _, r := range e.Reasons {
		if _, hint := r.explain(); hint != "" {
			return hint
		}
	}
	if e.err == ErrTimeout {
		return fmt.Sprintf("it goes on: wait for %s %s again rather than make another one", e.Op, e.ID)
	}
	if e.Op == "export job" {
		return reasons["cannot_access_storage_bucket"].hint
	}
	return "check the authorization of the service for the key service, and the state of the root key"
}
