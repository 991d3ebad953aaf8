package softlayer

import (
	"bytes"
	"encoding/json"
	"net/http"

	"github.com/luksimg/luksimg/internal/rest"
)

// A transport reads the answer of one call before the library does. The library
// takes an error that comes with status 200 for an object without fields, and a
// newline behind a boolean for an error.
type transport struct {
	next *rest.Transport

	status    int    // of the answer; zero if there was none
	requestID string // as the service gave it
	failure   failure
	err       error // there was no answer
}

// A failure is the body of an error of the API.
type failure struct {
	Error string `json:"error"`
	Code  string `json:"code"`
}

// said returns what the API says went wrong, if it does.
func said(body []byte) (f failure, ok bool) {
	return f, json.Unmarshal(body, &f) == nil && f.Error != ""
}

// class tells refusals, which come with status 500 too, from a service that is broken.
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
	// The library logs what it can not parse here.
	res.Header.Del("Softlayer-Total-Items")
	res.Body = bytes.TrimSpace(res.Body)
	t.failure, _ = said(res.Body)
	return res.HTTP(r), nil
}
