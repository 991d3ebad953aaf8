package keyprotect

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"strings"

	"github.com/luksimg/luksimg/internal/rest"
	"github.com/luksimg/luksimg/wrap"
	"github.com/luksimg/luksimg/wrap/internal/kind"
)

// Errors of Key Protect beyond those of package wrap. ErrSuspended, ErrDeactivated and ErrDeleted match
// wrap.ErrKeyState, ErrNoKeyRing matches wrap.ErrNotFound, and all match wrap.ErrRefused.
var (
	ErrNotRootKey  = errors.New("not a root key")
	ErrSuspended   = errors.New("root key is suspended")
	ErrDeactivated = errors.New("root key has expired")
	ErrDeleted     = errors.New("root key was deleted")
	ErrImport      = errors.New("import of key material was not accepted")
	ErrTooEarly    = errors.New("root key was changed just now")
	ErrInUse       = errors.New("root key protects resources")
	ErrNoKeyRing   = errors.New("key ring not found")
)

// errState is a root key whose state forbids enabling or disabling it.
var errState = errors.New("root key is in another state")

// An Error is a request that failed. It holds neither keys nor tokens. It matches, by errors.Is, one of the errors
// above or of package wrap, and the cause in the network, if there is one.
type Error = rest.Error

// kindOf returns err with the wider errors that it matches: wrap.ErrRefused for every refusal, and wrap.ErrKeyState
// for a root key that cannot be used at present.
func kindOf(err error, status int, cause error) error {
	switch err {
	case ErrSuspended, ErrDeactivated, ErrDeleted, errState:
		return kind.Of(err, cause, wrap.ErrKeyState)
	case ErrNoKeyRing:
		return kind.Of(err, cause, wrap.ErrNotFound)
	case wrap.ErrDenied:
		if status == http.StatusUnauthorized { // an identity without a role gets this status too: see sort
			return kind.Of(err, cause, wrap.ErrAuth)
		}
	}
	return kind.Of(err, cause)
}

// unavailable returns the error of a call without a usable response.
func unavailable(op, message string, cause error) *Error {
	return (&call{op: op}).failed(wrap.ErrUnavailable, &Error{Message: message}, cause)
}

// failed fills in the service, the operation, the kind and the advice of an error.
func (k *call) failed(err error, e *Error, cause error) *Error {
	e.Service, e.Op = "key protect", k.op
	e.Err = kindOf(err, e.Status, cause)
	e.Answered = e.Status != 0 && err != wrap.ErrUnavailable
	e.Advice = advice(e, err)
	var h interface{ Hint() string }
	if cause != nil && errors.As(cause, &h) && h.Hint() != "" {
		e.Advice = h.Hint()
	}
	return e
}

// advice returns one sentence on how to correct the error, or "".
func advice(e *Error, err error) string {
	switch err {
	case wrap.ErrAuth:
		return "the credential is wrong or has expired: check the API key, or log in again"
	case wrap.ErrDenied:
		return "the identity needs a role for this Key Protect instance: Reader to wrap and unwrap, Writer to create and rotate, Manager to disable, enable and delete"
	case ErrNoKeyRing:
		return "the instance has no such key ring: luksimg rootkey create --create-key-ring makes it"
	case wrap.ErrNotFound:
		return "check region, instance and key in the CRN, and the key ring if one was named: the key must be in that instance, and the instance in that region"
	case ErrNotRootKey:
		return "this is a standard key: give the CRN of a root key, or make one"
	case ErrSuspended:
		return "the root key is disabled: enable it with: luksimg rootkey enable --root-key-crn CRN"
	case errState:
		return "only an active root key can be disabled, and only a disabled one enabled: luksimg rootkey list shows the states"
	case ErrTooEarly:
		if e.Code == "KEY_ROTATION_NOT_PERMITTED" {
			return "a root key can be rotated once an hour: try again later"
		}
		return "wait 30 seconds, and try again: the service does not enable or restore a key just after a change"
	case ErrInUse:
		if e.Code == "PREV_KEY_DEL_ERR" {
			return "a resource with a retention policy needs the root key, so that nobody can delete it: the owner of the account must remove the policy first"
		}
		return "resources such as buckets are encrypted with it: ibmcloud kp registrations lists them; --protecting deletes it anyway, and then nobody can read those resources"
	case ErrDeactivated:
		return "the root key has expired: it still unwraps, but a new root key is needed to wrap"
	case ErrDeleted:
		return "the root key was deleted: restore it within 30 days with: ibmcloud kp key restore; after that, the keys that it wrapped are lost"
	case wrap.ErrWDEK:
		return "the wrapped key is damaged, or another root key wrapped it: compare root_key_crn in its envelope"
	case ErrImport:
		return "try again: an import token is valid for five minutes and one use, and a newer one replaces it"
	case wrap.ErrUnavailable:
		if e.Status == http.StatusTooManyRequests {
			return "the service limits the rate of requests: try again in a minute"
		}
		if e.Status == 0 && rest.NoHost(e.Err) {
			return "the host does not exist: check the region in the CRN and the address of the service"
		}
		return "check the network and the endpoint, and https://cloud.ibm.com/status"
	}
	switch e.Code {
	case "AUTHORIZATIONS_NOT_MET":
		return "two people must delete this root key: one runs ibmcloud kp key schedule-delete, and the other deletes it"
	case "KEY_CREATE_IMPORT_ACCESS_ERR":
		return "a policy of the instance forbids creating or importing such keys: ask its manager"
	case "KEY_PAYLOAD_REQ_ERR":
		return "the root key was imported: rotating it needs new key material: give it with --key-file"
	case "KEY_IMPT_REQ_ERR":
		return "the service made this root key: rotate it without key material"
	}
	return ""
}

// codes maps the service's reason codes to errors.
var codes = map[string]error{
	"KEY_ROOT_REQ_ERR":             ErrNotRootKey,
	"KEY_NOT_FOUND_ERR":            wrap.ErrNotFound,
	"INSTANCE_NOT_FOUND_ERR":       wrap.ErrNotFound,
	"KEY_ACTION_INVALID_STATE_ERR": ErrSuspended,
	"KEY_INVALID_STATE_ERR":        ErrSuspended,
	"KEY_EXPIRED_ERR":              ErrDeactivated,
	"KEY_DELETED_ERR":              ErrDeleted,
	"UNPROCESSABLE_CIPHERTEXT_ERR": wrap.ErrWDEK,
	"BEARER_SUB_EXTRACTION_ERR":    wrap.ErrAuth,
	"REQ_TOO_EARLY_ERR":            ErrTooEarly,
	"KEY_ROTATION_NOT_PERMITTED":   ErrTooEarly,
	"PROTECTED_RESOURCE_ERR":       ErrInUse,
	"PREV_KEY_DEL_ERR":             ErrInUse,
	"KEY_RING_NOT_FOUND_ERR":       ErrNoKeyRing,
	"IMPORT_TOKEN_EXPIRED_ERR":     ErrImport,
	"INCORRECT_NONCE_ERR":          ErrImport,
	"INCORRECT_NONCE_IV_ERR":       ErrImport,
}

// sort returns the error that a response stands for.
func sort(status int, code, message string) error {
	if err, ok := codes[code]; ok {
		return err
	}
	switch {
	case status == http.StatusUnauthorized && strings.Contains(message, "does not have access"):
		return wrap.ErrDenied // the token may be at fault instead: the service does not say which
	case status == http.StatusUnauthorized:
		return wrap.ErrAuth
	case status == http.StatusForbidden:
		return wrap.ErrDenied
	case status == http.StatusNotFound:
		return wrap.ErrNotFound
	case status == http.StatusGone:
		return ErrDeleted
	case status == http.StatusUnprocessableEntity:
		return wrap.ErrWDEK
	case status == http.StatusTooManyRequests, status >= 500:
		return wrap.ErrUnavailable
	}
	return wrap.ErrRefused
}

// failure returns the error of a response that reports one.
func failure(k *call, res *rest.Response, correlation string) *Error {
	e := &Error{Status: res.Status, CorrelationID: correlation}
	var body struct {
		Resources []struct {
			Message string `json:"errorMsg"`
			Reasons []struct {
				Code    string `json:"code"`
				Message string `json:"message"`
			} `json:"reasons"`
		} `json:"resources"`
	}
	if json.Unmarshal(res.Body, &body) == nil && len(body.Resources) > 0 {
		r := body.Resources[0]
		e.Message = r.Message
		if len(r.Reasons) > 0 {
			e.Code, e.Message = strings.TrimSpace(r.Reasons[0].Code), r.Reasons[0].Message
		}
	}
	// Remove the key from the texts, both as it was sent and decoded.
	decoded := make([]byte, base64.StdEncoding.DecodedLen(len(k.secret)))
	defer clear(decoded)
	n, err := base64.StdEncoding.Decode(decoded, k.secret)
	if err != nil {
		n = 0
	}
	for _, text := range []*string{&e.Code, &e.Message} {
		*text = rest.Clean(rest.Redact(*text, k.secret, decoded[:n]), res.Secret)
	}
	err = sort(res.Status, e.Code, e.Message)
	if err == ErrSuspended && (k.op == "enable" || k.op == "disable") {
		err = errState
	}
	return k.failed(err, e, nil)
}
