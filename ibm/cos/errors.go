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
	// ErrURI is a malformed cos:// URI, or a name that no bucket or object can have.
	ErrURI = advice.New("malformed object URI", "an object is named cos://REGION/BUCKET/OBJECT")
	// ErrNotFound is an object or a bucket that is not there.
	ErrNotFound = errors.New("not found")
	// ErrAccess is a refusal: credentials that are wrong, or that do not allow this.
	ErrAccess = rest.NewRefusal("access denied", nil)
	// ErrBucketRegion is a bucket that is not in the region it must be in, or not in one region.
	ErrBucketRegion = advice.New("wrong region of bucket", "images are imported from a regional bucket, in the region of the root key")
	// ErrExists is a bucket that cannot be made because there is one.
	ErrExists = errors.New("bucket exists")
	// ErrTooLarge is an object that the service does not take, or that has too many parts.
	ErrTooLarge = errors.New("object is too large")
	// ErrChanged is an object that changed while it was read, or a source of an upload that
	// is not the one it began with.
	ErrChanged = errors.New("changed meanwhile")
	// ErrChecksum is content that did not arrive as it was sent.
	ErrChecksum = advice.New("checksum mismatch", "try again: what arrived is not what was sent")
)

// An Error is an answer of the service that is no success. It matches [ErrNotFound],
// [ErrAccess], [ErrBucketRegion], [ErrExists] or [ErrChanged], as Code and Status say.
type Error struct {
	Method    string
	URL       string // without the values of its query
	Status    int    // of HTTP; 200 where the answer was an error all the same
	Code      string // of S3, "NoSuchKey"; "" if the answer had none
	Message   string
	RequestID string
	// Region is the one that was asked, BucketRegion the bucket's, where the answer has it.
	Region, BucketRegion string

	after time.Duration // for which the service wants to be left alone
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

// regions reports whether the error is that a bucket is elsewhere, and says where.
func (e *Error) regions() bool {
	return e.Is(ErrBucketRegion) && e.BucketRegion != "" && e.BucketRegion != e.Region
}

// Is reports whether the error is of a kind.
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

// Refused reports whether the service said no.
func (e *Error) Refused() bool {
	return e.Is(ErrAccess) || e.Is(ErrNotFound) || e.Is(ErrExists) || e.Is(ErrBucketRegion)
}

// Temporary reports whether the same request may work later.
func (e *Error) Temporary() bool { return e.retryable() }

// Hint says what to do about it, in one sentence, or nothing.
func (e *Error) Hint() string {
	switch {
	case e.regions():
		return fmt.Sprintf("name the bucket's region: cos://%s/...", e.BucketRegion)
	case e.Is(ErrBucketRegion):
		return fmt.Sprintf("the bucket is not in %s: find its region and name it in the URI", e.Region)
	case e.Code == "NoSuchBucket":
		return fmt.Sprintf("make the bucket in %s, or check its region: one of another region looks as if it were not there", e.Region)
	case e.Code == "BucketAlreadyExists":
		return "names of buckets are shared with all other customers: choose another one"
	case e.Code == "SignatureDoesNotMatch" || e.Code == "InvalidAccessKeyId":
		return "check the access key and the secret of the HMAC credentials"
	case e.Code == "RequestTimeTooSkewed":
		return "set the clock of this machine"
	case e.Status == http.StatusUnauthorized:
		return "the token is not valid any more: check the API key"
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
		return "the service is busy or broken: try again later"
	}
	return ""
}

// hintReplaced is the hint for [ErrChanged] while an object is read.
const hintReplaced = "the object was replaced while it was read: start again"

const codeNoSuchUpload = "NoSuchUpload"

// throttled reports whether the service did nothing, as there is too much to do.
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

// retryable reports whether the same request may work a moment later.
func (e *Error) retryable() bool {
	switch e.Code {
	case "SlowDown", "InternalError", "ServiceUnavailable", "RequestTimeout", "OperationAborted", "Throttling", "TooManyRequests":
		return true
	}
	return e.Status == http.StatusTooManyRequests || e.Status == http.StatusRequestTimeout || e.Status >= 500 && e.Status != http.StatusNotImplemented
}
