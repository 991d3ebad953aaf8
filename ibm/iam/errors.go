package iam

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"github.com/luksimg/luksimg/internal/rest"
)

// Errors of IAM. Match them on an *[Error] with errors.Is.
var (
	// ErrRefused means that IAM refused the request. ErrAuth and ErrDenied also match it.
	ErrRefused = rest.NewRefusal("refused by IAM", nil)
	// ErrAuth means that an API key or token is wrong, disabled or expired.
	ErrAuth = rest.NewRefusal("not authenticated by IAM", ErrRefused)
	// ErrDenied means that the identity lacks permission for the request.
	ErrDenied = rest.NewRefusal("not allowed by IAM", ErrRefused)
	// ErrUnavailable means that IAM gave no usable response after all retries.
	ErrUnavailable = rest.NewTemporary("IAM is unavailable")
)

// An Error is a failed request to IAM. It holds no credential. Err is one of the errors above.
// For a request without a response, Err also wraps the connection error.
type Error = rest.Error

// advice returns a hint about what to do after an error.
func advice(e *Error) string {
	switch {
	case e.Code == "BXNIM0415E":
		return "the API key does not exist, or was deleted: check that the copy is complete and that the key belongs to this IAM endpoint"
	case errors.Is(e.Err, ErrAuth) && e.Op == "token":
		return "check the API key: make one with: ibmcloud iam api-key-create NAME"
	case errors.Is(e.Err, ErrAuth):
		return "the token has expired or was revoked: log in again"
	case errors.Is(e.Err, ErrDenied) && e.Op == "token":
		return "the account may block this identity or this network address: ask its owner"
	case errors.Is(e.Err, ErrDenied):
		return "the identity of this API key needs the role Administrator on the resources to set up: ask the owner of the account"
	case e.Status == http.StatusTooManyRequests:
		return "IAM limits the rate of requests: try again in a minute"
	case rest.NoHost(e.Err):
		return "the host does not exist: check the address of IAM"
	case errors.Is(e.Err, ErrUnavailable):
		return "check the network, and https://cloud.ibm.com/status"
	}
	return ""
}

// unavailable completes e as an error without a usable response.
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

// failure returns the error for a response that refuses the request.
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
