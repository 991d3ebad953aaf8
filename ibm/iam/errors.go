package iam

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"github.com/luksimg/luksimg/internal/rest"
)

// Errors of IAM, for errors.Is with an *[Error].
var (
	// ErrRefused is IAM saying no, for whatever reason. Those below match it too.
	ErrRefused = rest.NewRefusal("refused by IAM", nil)
	// ErrAuth is an API key or token that is wrong, disabled or expired.
	ErrAuth = rest.NewRefusal("not authenticated by IAM", ErrRefused)
	// ErrDenied is an identity that may not do this.
	ErrDenied = rest.NewRefusal("not allowed by IAM", ErrRefused)
	// ErrUnavailable is no usable answer, after retries.
	ErrUnavailable = rest.NewTemporary("IAM is unavailable")
)

// An Error is a request to IAM that failed. It holds no credential. Err is one of the
// errors above, and for a request without an answer what happened to the connection.
type Error = rest.Error

// advice says what to do about an error.
func advice(e *Error) string {
	switch {
	case e.Code == "BXNIM0415E":
		return "the API key does not exist, or was deleted: check that it was copied whole, and that it belongs to this IAM endpoint"
	case errors.Is(e.Err, ErrAuth) && e.Op == "token":
		return "check the API key: make one with: ibmcloud iam api-key-create NAME"
	case errors.Is(e.Err, ErrAuth):
		return "the token has expired or was revoked: log in again"
	case errors.Is(e.Err, ErrDenied):
		return "the identity of this API key needs the role Administrator for what it should set up: ask the owner of the account"
	case e.Status == http.StatusTooManyRequests:
		return "IAM limits the rate of requests: try again in a minute"
	case errors.Is(e.Err, ErrUnavailable):
		return "check the network, and https://cloud.ibm.com/status"
	}
	return ""
}

// unavailable is an error without a usable answer.
func unavailable(e *Error) *Error {
	e.Service = "iam"
	if e.Err == nil {
		e.Err = ErrUnavailable
	} else {
		e.Err = fmt.Errorf("%w: %w", ErrUnavailable, e.Err)
	}
	e.Advice = advice(e)
	return e
}

// failure makes an error of an answer that says no.
func failure(op string, res *rest.Response, secrets ...string) error {
	e := &Error{Service: "iam", Op: op, Status: res.Status}
	var body struct {
		ErrorCode    string `json:"errorCode"`
		ErrorMessage string `json:"errorMessage"`
		Context      struct {
			RequestID string `json:"requestId"`
		} `json:"context"`
		Trace  string `json:"trace"`
		Errors []struct {
			Code    string `json:"code"`
			Message string `json:"message"`
		} `json:"errors"`
	}
	if json.Unmarshal(res.Body, &body) == nil {
		e.Code, e.Message, e.RequestID = body.ErrorCode, body.ErrorMessage, body.Context.RequestID
		if e.RequestID == "" {
			e.RequestID = body.Trace
		}
		if e.Code == "" && len(body.Errors) > 0 {
			e.Code, e.Message = body.Errors[0].Code, body.Errors[0].Message
		}
	}
	if e.RequestID == "" {
		e.RequestID = res.Header.Get("Transaction-Id")
	}
	e.Code = rest.Clean(e.Code, secrets...)
	e.Message = rest.Clean(e.Message, secrets...)
	e.RequestID = rest.Clean(e.RequestID, secrets...)
	switch {
	case res.Status == http.StatusUnauthorized, op == "token" && res.Status == http.StatusBadRequest:
		e.Err = ErrAuth
	case res.Status == http.StatusForbidden:
		e.Err = ErrDenied
	case res.Status == http.StatusTooManyRequests, res.Status >= 500:
		e.Err = ErrUnavailable
	default:
		e.Err = ErrRefused
	}
	e.Advice = advice(e)
	return e
}
