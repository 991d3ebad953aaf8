package softlayer

import (
	"bytes"
	"encoding/json"
	"net/http"

	"github.com/luksimg/luksimg/internal/rest"
)

// A transport inspects the response of one call before the library does. The library
// decodes an error with status 200 as an object without fields, and reports
// a newline after a boolean as an error.
type transport struct {
	next *rest.Transport

	status    int    // status of the response; zero if there was none
	requestID string // from the service
	failure   failure
	err       error // set if there was no response
}

// A failure is the body of an API error.
type failure struct {
	Error string `json:"error"`
	Code  string `json:"code"`
}

// said returns the error that the body contains, if any.
func said(body []byte) (f failure, ok bool) {
	return f, json.Unmarshal(body, &f) == nil && f.Error != ""
}

// class separates refusals, which can have status 500, from service failures.
func class(r *rest.Response) rest.Class {
	f, ok := said(r.Body)
	switch {
	case ok && f.Code == codeRateLimit:
		return rest.NotBegun
	case ok && r.Status >= 500:
		return rest.Final
	}
	return rest.Classify(r)
}

const codeRateLimit = "SoftLayer_Exception_WebService_RateLimitExceeded"

func (t *transport) RoundTrip(r *http.Request) (*http.Response, error) {
	res, err := t.next.Send(r)
	if t.err = err; err != nil {
		return nil, err
	}
	t.status = res.Status
	for _, name := range []string{"X-Request-Id", "Softlayer-Request-Id", "X-Correlation-Id"} {
		if id := res.Header.Get(name); id != "" && t.requestID == "" {
			t.requestID = rest.Clean(id)
		}
	}
	// The library would log a header value that it cannot parse.
	res.Header.Del("Softlayer-Total-Items")
	res.Body = bytes.TrimSpace(res.Body)
	t.failure, _ = said(res.Body)
	return res.HTTP(r), nil
}
