package awskms

import (
	"encoding/json"
	"net/http"
	"strings"

	"github.com/luksimg/luksimg/internal/rest"
	"github.com/luksimg/luksimg/wrap"
	"github.com/luksimg/luksimg/wrap/internal/kind"
)

// An Error is a request to the service that failed. It holds neither keys nor credentials. It
// matches one of the errors of package wrap, and what happened to the connection.
type Error = rest.Error

// answer makes the error of an answer that is none of the service.
func answer(op string, status int, message string) *Error {
	return &Error{Service: "aws kms", Op: op, Status: status, Message: message, Err: kind.Of(wrap.ErrUnavailable, rest.ErrAnswer),
		Advice: "check the endpoint: it is that of AWS KMS"}
}

// unreachable makes the error of a request without an answer.
func unreachable(op string, cause error) *Error {
	return &Error{Service: "aws kms", Op: op, Err: kind.Of(wrap.ErrUnavailable, cause), Advice: "there was no answer: check the network, and the region and the endpoint"}
}

// sorts say what an error of the service is: "Common Errors", and those of the operations.
var sorts = map[string]error{
	"AccessDeniedException":               wrap.ErrDenied,
	"NotAuthorized":                       wrap.ErrDenied,
	"UnrecognizedClientException":         wrap.ErrAuth,
	"InvalidClientTokenId":                wrap.ErrAuth,
	"InvalidSignatureException":           wrap.ErrAuth,
	"IncompleteSignature":                 wrap.ErrAuth,
	"IncompleteSignatureException":        wrap.ErrAuth,
	"MissingAuthenticationToken":          wrap.ErrAuth,
	"MissingAuthenticationTokenException": wrap.ErrAuth,
	"ExpiredTokenException":               wrap.ErrAuth,
	"RequestExpired":                      wrap.ErrAuth,
	"OptInRequired":                       wrap.ErrAuth,
	"NotFoundException":                   wrap.ErrNotFound,
	"InvalidArnException":                 wrap.ErrNotFound,
	"DisabledException":                   wrap.ErrKeyState,
	"KMSInvalidStateException":            wrap.ErrKeyState,
	"InvalidKeyUsageException":            wrap.ErrKeyState,
	"InvalidCiphertextException":          wrap.ErrWDEK,
	"IncorrectKeyException":               wrap.ErrWDEK,
	"KeyUnavailableException":             wrap.ErrUnavailable,
	"DependencyTimeoutException":          wrap.ErrUnavailable,
	"KMSInternalException":                wrap.ErrUnavailable,
	"InternalFailure":                     wrap.ErrUnavailable,
	"ServiceUnavailable":                  wrap.ErrUnavailable,
	"ThrottlingException":                 wrap.ErrUnavailable,
	"Throttling":                          wrap.ErrUnavailable,
	"LimitExceededException":              wrap.ErrUnavailable,
	"RequestLimitExceeded":                wrap.ErrUnavailable,
}

// told returns what the service says is wrong.
func told(res *rest.Response) (code, message string) {
	var body struct {
		Type    string `json:"__type"`
		Message string `json:"message"`
	}
	json.Unmarshal(res.Body, &body)
	// It may have a namespace in front, and a colon behind it in a header.
	code = body.Type
	if code == "" {
		code, _, _ = strings.Cut(res.Header.Get("X-Amzn-Errortype"), ":")
	}
	if i := strings.LastIndexByte(code, '#'); i >= 0 {
		code = code[i+1:]
	}
	return code, body.Message
}

// class tells of requests that were too many, which have status 400.
func class(res *rest.Response) rest.Class {
	if code, _ := told(res); strings.HasPrefix(code, "Throttling") || code == "RequestLimitExceeded" {
		return rest.NotBegun
	}
	return rest.Classify(res)
}

// failure makes the error of an answer that says no.
func (c *Client) failure(op string, res *rest.Response) *Error {
	code, message := told(res)
	sort, known := sorts[code]
	switch {
	case known:
	case res.Status == http.StatusForbidden:
		sort = wrap.ErrDenied
	case res.Status == http.StatusNotFound:
		sort = wrap.ErrNotFound
	case res.Status == http.StatusTooManyRequests, res.Status >= 500:
		sort = wrap.ErrUnavailable
	default:
		sort = wrap.ErrRefused
	}
	secrets := []string{string(c.who.SecretAccessKey), string(c.who.SessionToken)}
	e := &Error{Service: "aws kms", Op: op, Status: res.Status, Code: rest.Clean(code, secrets...), Message: rest.Clean(message, secrets...),
		RequestID: rest.Clean(res.Header.Get("X-Amzn-Requestid"), secrets...), Err: kind.Of(sort, nil), Answered: code != "" && sort != wrap.ErrUnavailable}
	e.Advice = advice(sort, op)
	return e
}

// advice says what to do about an error, as one sentence; "" if nothing comes to mind.
func advice(sort error, op string) string {
	switch sort {
	case wrap.ErrAuth:
		return "the credentials are wrong or have expired, or the clock of this machine is: aws sts get-caller-identity tells"
	case wrap.ErrDenied:
		return "the identity needs kms:" + map[string]string{"ReEncrypt": "ReEncryptFrom and kms:ReEncryptTo"}[op] + opName(op) + " on the key, by its key policy or its own"
	case wrap.ErrNotFound:
		return "check region, account and ID in the ARN of the key"
	case wrap.ErrKeyState:
		return "the key is disabled, to be deleted, or not one for encryption: aws kms describe-key tells"
	case wrap.ErrWDEK:
		return "the wrapped key is damaged, or another key wrapped it"
	case wrap.ErrUnavailable:
		return "the service has a problem, or was asked too often: try again later"
	}
	return ""
}

// opName is the permission of an operation that has its name.
func opName(op string) string {
	if op == "ReEncrypt" {
		return ""
	}
	return op
}
