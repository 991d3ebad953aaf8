package awskms

import (
	"encoding/json"
	"net/http"
	"strings"

	"github.com/luksimg/luksimg/internal/rest"
	"github.com/luksimg/luksimg/wrap"
	"github.com/luksimg/luksimg/wrap/internal/kind"
)

// An Error is a request that failed. It holds neither keys nor credentials. It matches, by errors.Is, one of the
// errors of package wrap and the cause in the network, if there is one.
type Error = rest.Error

// answer returns the error of a response that AWS KMS does not send.
func answer(op string, status int, message string) *Error {
	return &Error{Service: "aws kms", Op: op, Status: status, Message: message, Err: kind.Of(wrap.ErrUnavailable, rest.ErrAnswer),
		Advice: "check the endpoint: it must be that of AWS KMS"}
}

// unreachable returns the error of a request without a response.
func unreachable(op string, cause error) *Error {
	return &Error{Service: "aws kms", Op: op, Err: kind.Of(wrap.ErrUnavailable, cause), Advice: "there was no response: check the network, the region and the endpoint"}
}

// sorts maps the service's error codes to errors of package wrap. The codes are those of "Common Errors" and of the
// three operations.
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

// told returns the error code and the message in a response.
func told(res *rest.Response) (code, message string) {
	var body struct {
		Type    string `json:"__type"`
		Message string `json:"message"`
	}
	json.Unmarshal(res.Body, &body)
	// The code can have a namespace before it. In the header it can have a colon and a URL after it.
	code = body.Type
	if code == "" {
		code, _, _ = strings.Cut(res.Header.Get("X-Amzn-Errortype"), ":")
	}
	if i := strings.LastIndexByte(code, '#'); i >= 0 {
		code = code[i+1:]
	}
	return code, body.Message
}

// class recognizes throttled requests, which have status 400.
func class(res *rest.Response) rest.Class {
	if code, _ := told(res); strings.HasPrefix(code, "Throttling") || code == "RequestLimitExceeded" {
		return rest.NotBegun
	}
	return rest.Classify(res)
}

// failure returns the error of a response that reports one.
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

// advice returns one sentence on how to correct the error, or "".
func advice(sort error, op string) string {
	switch sort {
	case wrap.ErrAuth:
		return "the credentials are wrong or have expired, or the clock of this machine is wrong: check with aws sts get-caller-identity"
	case wrap.ErrDenied:
		return "the identity needs kms:" + map[string]string{"ReEncrypt": "ReEncryptFrom and kms:ReEncryptTo"}[op] + opName(op) + " on the key, in the key policy or in an IAM policy"
	case wrap.ErrNotFound:
		return "check region, account and ID in the ARN of the key"
	case wrap.ErrKeyState:
		return "the key is disabled, pending deletion, or not for encryption: aws kms describe-key shows its state"
	case wrap.ErrWDEK:
		return "the wrapped key is damaged, or another key wrapped it"
	case wrap.ErrUnavailable:
		return "the service has a problem, or limits the rate of requests: try again later"
	}
	return ""
}

// opName returns the permission for an operation whose permission has the operation's name.
func opName(op string) string {
	if op == "ReEncrypt" {
		return ""
	}
	return op
}
