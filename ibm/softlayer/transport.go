package softlayer

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
)

// maxAnswer bounds the body of an answer in bytes.
const maxAnswer = 32 << 20

// A transport reads the answer of one call before the library does. The library
// takes an error that comes with status 200 for an object without fields, and a
// newline behind a boolean for an error.
type transport struct {
	next http.RoundTripper

	status    int    // of the answer; zero if there was none
	requestID string // as the service gave it
	whole     bool   // the body was read to its end
	failure   *failure
}

// A failure is the body of an error of the API.
type failure struct {
	Error string `json:"error"`
	Code  string `json:"code"`
}

func (t *transport) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := t.next.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	t.status = resp.StatusCode
	for _, name := range []string{"X-Request-Id", "Softlayer-Request-Id", "X-Correlation-Id"} {
		if id := resp.Header.Get(name); id != "" && t.requestID == "" {
			t.requestID = clean(id, nil)
		}
	}
	// The library logs what it can not parse here.
	resp.Header.Del("Softlayer-Total-Items")
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	if err != nil {
		return nil, err
	}
	if len(body) > maxAnswer {
		return nil, fmt.Errorf("the answer is longer than %d bytes", maxAnswer)
	}
	t.whole = true
	body = bytes.TrimSpace(body)
	var f failure
	if json.Unmarshal(body, &f) == nil && f.Error != "" {
		t.failure = &f
	}
	resp.Body = io.NopCloser(bytes.NewReader(body))
	resp.ContentLength = int64(len(body))
	return resp, nil
}
