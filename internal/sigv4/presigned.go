package sigv4

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"
)

const querySignature = "X-Amz-Signature"

// queryParts are the query parameters of the signature itself: "Authenticating Requests:
// Using Query Parameters (AWS Signature Version 4)" in the Amazon S3 API Reference.
var queryParts = []string{"X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-Date", "X-Amz-Expires", "X-Amz-Signedheaders", querySignature, "X-Amz-Security-Token"}

// OfQuery reports whether a parameter, in canonical header form, belongs to the signature of a presigned URL.
func OfQuery(name string) bool { return slices.Contains(queryParts, name) }

// Presigned reports whether a query contains a signature.
func Presigned(q url.Values) bool { return q.Has("X-Amz-Algorithm") || q.Has(querySignature) }

// ParseQuery parses the authorization in the query of a presigned URL.
func ParseQuery(q url.Values) (*Authorization, error) {
	seconds, err := strconv.ParseInt(q.Get("X-Amz-Expires"), 10, 32)
	if err != nil || seconds < 1 || q.Get("X-Amz-Algorithm") != algorithm {
		return nil, errMalformed
	}
	a := &Authorization{Presigned: true, Expires: time.Duration(seconds) * time.Second}
	for _, name := range []string{"Credential", "SignedHeaders", "Signature"} {
		if values := q["X-Amz-"+name]; len(values) != 1 || a.set(name, values[0]) != nil {
			return nil, errMalformed
		}
	}
	if !slices.Contains(a.SignedHeaders, "host") {
		return nil, errMalformed
	}
	return a, nil
}

// date returns the time of the signature in [TimeFormat].
func (a *Authorization) date(r *http.Request) string {
	if a.Presigned {
		return r.URL.Query().Get("X-Amz-Date")
	}
	return r.Header.Get("X-Amz-Date")
}

// Time returns the time at which a request was signed.
func (a *Authorization) Time(r *http.Request) (time.Time, error) {
	return time.Parse(TimeFormat, a.date(r))
}

// Payload returns the payload hash of a request, or another value of X-Amz-Content-Sha256.
func (a *Authorization) Payload(r *http.Request) string {
	payload := r.Header.Get("X-Amz-Content-Sha256")
	if payload == "" && a.Presigned {
		if payload = r.URL.Query().Get("X-Amz-Content-Sha256"); payload == "" {
			payload = UnsignedPayload
		}
	}
	return payload
}
