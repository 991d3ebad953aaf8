package cos

import (
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/luksimg/luksimg/internal/advice"
	"github.com/luksimg/luksimg/internal/rest"
)

var (
	// ErrURI means that a cos:// URI is malformed, or that a bucket or object name is invalid.
	ErrURI = errors.New("malformed object URI")
	// ErrNotFound means that an object or a bucket does not exist.
	ErrNotFound = errors.New("not found")
	// ErrAccess means that the credentials are wrong or lack permission.
	ErrAccess = rest.NewRefusal("access denied", nil)
	// ErrBucketRegion means that a bucket is in the wrong region or not regional.
	ErrBucketRegion = advice.New("wrong bucket region", "images are imported from a regional bucket, in the region of the root key")
	// ErrExists means that a bucket cannot be created because it exists.
	ErrExists = errors.New("bucket exists")
	// ErrTooLarge means that an object exceeds the size limit or needs too many parts.
	ErrTooLarge = errors.New("object is too large")
	// ErrChanged means that an object changed while it was read, or that the source of a resumed upload
	// differs from the original one.
	ErrChanged = errors.New("changed meanwhile")
	// ErrChecksum means that content was damaged in transit.
	ErrChecksum = advice.New("checksum mismatch", "try again: the data was damaged in transit")
)

// An Error is an error response of the service. Depending on Code and Status, it matches
// [ErrNotFound], [ErrAccess], [ErrBucketRegion], [ErrExists] or [ErrChanged].
type Error struct {
	Method    string
	URL       string // without the values of its query
	Status    int    // HTTP status; can be 200 for an error in the body
	Code      string // S3 error code such as "NoSuchKey"; "" if missing
	Message   string
	RequestID string
	// Region is the requested region; BucketRegion is the bucket's, or "" if unknown.
	Region, BucketRegion string

	after time.Duration // from the Retry-After header
}

func (e *Error) Error() string {
	s := e.Method + " " + e.URL + ": "
	if e.Code != "" {
		s += e.Code + ": "
	}
	switch {
	case e.regions():
		s += fmt.Sprintf("the bucket is in %s, not in %s", e.BucketRegion, e.Region)
	case e.Message != "":
		s += e.Message
	default:
		s += http.StatusText(e.Status)
	}
	s += fmt.Sprintf(" (status %d", e.Status)
	if e.RequestID != "" {
		s += ", request " + e.RequestID
	}
	return s + ")"
}

// regions reports whether the bucket is in another region that the error names.
func (e *Error) regions() bool {
	return e.Is(ErrBucketRegion) && e.BucketRegion != "" && e.BucketRegion != e.Region
}

// Is reports whether the error matches one of the errors of this package.
func (e *Error) Is(target error) bool {
	switch target {
	case ErrNotFound:
		return e.Status == http.StatusNotFound || e.Code == "NoSuchKey" || e.Code == "NoSuchBucket" || e.Code == codeNoSuchUpload
	case ErrBucketRegion:
		switch e.Code {
		case "PermanentRedirect", "TemporaryRedirect", "AuthorizationHeaderMalformed", "IllegalLocationConstraintException", "InvalidLocationConstraint", "InvalidRegion":
			return true
		}
		return e.Status == http.StatusMovedPermanently || e.Status == http.StatusTemporaryRedirect
	case ErrAccess:
		return (e.Status == http.StatusForbidden || e.Status == http.StatusUnauthorized) && !e.Is(ErrBucketRegion)
	case ErrExists:
		return e.Code == "BucketAlreadyExists" || e.Code == "BucketAlreadyOwnedByYou"
	case ErrChanged:
		return e.Status == http.StatusPreconditionFailed
	}
	return false
}

// Refused reports whether the service refused the request, so that a retry is useless.
func (e *Error) Refused() bool {
	return e.Is(ErrAccess) || e.Is(ErrNotFound) || e.Is(ErrExists) || e.Is(ErrBucketRegion)
}

// Temporary reports whether the same request can succeed later.
func (e *Error) Temporary() bool { return e.retryable() }

// Hint returns advice in one sentence, or "".
func (e *Error) Hint() string {
	switch {
	case e.regions():
		return fmt.Sprintf("name the bucket's region: cos://%s/...", e.BucketRegion)
	case e.Is(ErrBucketRegion):
		return fmt.Sprintf("the bucket is not in %s: find its region and name it in the URI", e.Region)
	case e.Code == "NoSuchBucket":
		return fmt.Sprintf("create the bucket in %s, or check its region: buckets of other regions are not found there", e.Region)
	case e.Code == "BucketAlreadyExists":
		return "bucket names are unique across all customers: choose another one"
	case e.Code == "SignatureDoesNotMatch" || e.Code == "InvalidAccessKeyId":
		return "check the access key and the secret of the HMAC credentials"
	case e.Code == "RequestTimeTooSkewed":
		return "set the clock of this machine"
	case e.Status == http.StatusUnauthorized:
		return "the token is no longer valid: check the API key"
	case e.Is(ErrAccess):
		return "the credentials need the role Writer to upload, or Reader to download, on the bucket or its service instance"
	case e.Is(ErrNotFound):
		return "check the names of the bucket and the object"
	case e.Is(ErrChanged):
		return hintReplaced
	case e.Code == "EntityTooLarge":
		return "an object of this service is at most 10 TB"
	case e.Code == "InvalidPart" || e.Code == codeNoSuchUpload:
		return "the upload is gone from the service: start it again"
	case e.retryable():
		return "the service is busy or has a problem: try again later"
	}
	return ""
}

// hintReplaced is the hint for [ErrChanged] while an object is read.
const hintReplaced = "the object was replaced while it was read: start again"

const codeNoSuchUpload = "NoSuchUpload"

// throttled reports whether the service rejected a request because of its load.
func throttled(err error) bool {
	var e *Error
	if !errors.As(err, &e) {
		return false
	}
	switch e.Code {
	case "SlowDown", "Throttling", "TooManyRequests":
		return true
	}
	return e.Status == http.StatusTooManyRequests
}

// retryable reports whether the same request can succeed a moment later.
func (e *Error) retryable() bool {
	switch e.Code {
	case "SlowDown", "InternalError", "ServiceUnavailable", "RequestTimeout", "OperationAborted", "Throttling", "TooManyRequests":
		return true
	}
	return e.Status == http.StatusTooManyRequests || e.Status == http.StatusRequestTimeout || e.Status >= 500 && e.Status != http.StatusNotImplemented
}
