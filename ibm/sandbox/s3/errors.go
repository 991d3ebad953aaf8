package s3

import (
	"encoding/xml"
	"errors"
	"io"
	"net/http"
)

// An apiError is an error response.
type apiError struct {
	code, message string
	endpoint      string // target of a redirect
}

func (e *apiError) Error() string { return e.code + ": " + e.message }

func refusal(code, message string) *apiError { return &apiError{code: code, message: message} }

// statuses maps error codes to HTTP statuses; the default is 400.
var statuses = map[string]int{
	"AccessDenied":                 http.StatusForbidden,
	"BucketAlreadyExists":          http.StatusConflict,
	"BucketAlreadyOwnedByYou":      http.StatusConflict,
	"BucketNotEmpty":               http.StatusConflict,
	"InternalError":                http.StatusInternalServerError,
	"InvalidAccessKeyId":           http.StatusForbidden,
	"InvalidRange":                 http.StatusRequestedRangeNotSatisfiable,
	"MethodNotAllowed":             http.StatusMethodNotAllowed,
	"MissingContentLength":         http.StatusLengthRequired,
	"InvalidPartNumber":            http.StatusRequestedRangeNotSatisfiable,
	"NoSuchBucket":                 http.StatusNotFound,
	"NoSuchCORSConfiguration":      http.StatusNotFound,
	"NoSuchKey":                    http.StatusNotFound,
	"NoSuchLifecycleConfiguration": http.StatusNotFound,
	"NoSuchUpload":                 http.StatusNotFound,
	"NoSuchVersion":                http.StatusNotFound,
	"NotImplemented":               http.StatusNotImplemented,
	"ServiceNotAuthorized":         http.StatusForbidden,
	"PermanentRedirect":            http.StatusMovedPermanently,
	"PreconditionFailed":           http.StatusPreconditionFailed,
	"RequestTimeTooSkewed":         http.StatusForbidden,
	"SignatureDoesNotMatch":        http.StatusForbidden,
	"Unauthorized":                 http.StatusUnauthorized,
}

// asAPI converts an error of the Go API to an apiError.
func asAPI(err error) *apiError {
	var e *apiError
	switch {
	case errors.As(err, &e):
		return e
	case errors.Is(err, ErrNoBucket):
		return refusal("NoSuchBucket", "The specified bucket does not exist.")
	case errors.Is(err, ErrNoKey):
		return refusal("NoSuchKey", "The specified key does not exist.")
	case errors.Is(err, ErrDenied):
		return refusal("AccessDenied", "Access Denied")
	case errors.Is(err, io.ErrUnexpectedEOF):
		return refusal("IncompleteBody", "You did not provide the number of bytes specified by the Content-Length HTTP header.")
	}
	return refusal("InternalError", "We encountered an internal error. Please try again.")
}

// maxDrain limits how much of an unwanted body is read. A client that sends its whole body
// before it reads then still gets the response.
const maxDrain = 256 << 20

// refuse writes an error response.
func (s *Server) refuse(w http.ResponseWriter, r *http.Request, err error) {
	e := asAPI(err)
	if r.Header.Get("Expect") == "" {
		io.Copy(io.Discard, io.LimitReader(r.Body, maxDrain))
	}
	status := statuses[e.code]
	if status == 0 {
		status = http.StatusBadRequest
	}
	answer(w, r, status, struct {
		XMLName   xml.Name `xml:"Error"`
		Code      string
		Message   string
		Resource  string
		Endpoint  string `xml:",omitempty"`
		RequestId string
	}{Code: e.code, Message: e.message, Resource: r.URL.Path, Endpoint: e.endpoint, RequestId: w.Header().Get("X-Amz-Request-Id")})
}

// answer writes an XML response.
func answer(w http.ResponseWriter, r *http.Request, status int, v any) error {
	b, err := xml.Marshal(v)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/xml")
	w.WriteHeader(status)
	if r.Method != http.MethodHead {
		io.WriteString(w, xml.Header)
		w.Write(b)
	}
	return nil
}
