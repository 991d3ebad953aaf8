package main

import (
	"encoding/json"
	"fmt"
	"slices"
)

// The protocol: docs/pkcs11.md specifies it. Package wrap/pkcs11 is the client.
const (
	version    = 1
	maxRequest = 256 << 10
)

// A request is one operation with its arguments.
type request struct {
	Version   int    `json:"version"`
	Operation string `json:"operation"` // find, wrap or unwrap

	ModulePath string `json:"module_path,omitempty"` // file of the library
	ModuleName string `json:"module_name,omitempty"` // or its name without lib and .so, in the usual folders

	// Attributes select the token and the key, with the names of RFC 7512. The id is hexadecimal.
	Attributes map[string]string `json:"attributes"`
	PIN        []byte            `json:"pin,omitempty"`       // base64 in JSON, as Data is
	Mechanism  string            `json:"mechanism,omitempty"` // method of the key to unwrap
	Data       []byte            `json:"data,omitempty"`      // the key to wrap or unwrap
}

// members are the names of the members of a request.
var members = []string{"version", "operation", "module_path", "module_name", "attributes", "pin", "mechanism", "data"}

// parseRequest parses text, and refuses unknown members. It makes no copy of text, which a [json.Decoder] does: text
// contains the PIN.
func parseRequest(text []byte) (q request, err error) {
	if err := json.Unmarshal(text, &q); err != nil {
		return q, err
	}
	var all map[string]skipped
	if err := json.Unmarshal(text, &all); err != nil {
		return q, err
	}
	for name := range all {
		if !slices.Contains(members, name) {
			return q, fmt.Errorf("unknown field %q", name)
		}
	}
	return q, nil
}

// A skipped value is not stored.
type skipped struct{}

func (*skipped) UnmarshalJSON([]byte) error { return nil }

// An answer is the result of a request.
type answer struct {
	Version int `json:"version"`

	Token  string `json:"token,omitempty"`  // label of the token
	Object string `json:"object,omitempty"` // label of the key
	ID     string `json:"id,omitempty"`     // id of the key, hexadecimal
	Type   string `json:"type,omitempty"`   // "secret-key" or "private"

	Mechanism string `json:"mechanism,omitempty"` // method that wrapped the key
	Data      []byte `json:"data,omitempty"`

	Fault *fault `json:"error,omitempty"`
}

// The classes of faults.
const (
	classRequest   = "request"    // the request is malformed
	classModule    = "module"     // the module cannot be loaded
	classToken     = "token"      // no such token, or several
	classNoPIN     = "pin-needed" // the token requires a PIN, but none is given
	classPIN       = "pin"        // the PIN is wrong
	classLocked    = "pin-locked" // the PIN is locked, or one more wrong PIN would lock it
	classKey       = "key"        // no such key, or several
	classMechanism = "mechanism"  // the token supports no method for this key
	classDenied    = "denied"     // the key or the user lacks the permission
	classData      = "data"       // the wrapped key is damaged, or is of another key
	classDevice    = "device"     // the token failed
)

// A fault is the reason why a request failed.
type fault struct {
	Class   string `json:"class"`
	Code    string `json:"code,omitempty"` // CKR_..., the module's result
	Message string `json:"message"`

	cause error
}

func (f *fault) Error() string { return f.Message }
func (f *fault) Unwrap() error { return f.cause }

func faultf(class, format string, args ...any) *fault {
	return &fault{Class: class, Message: fmt.Sprintf(format, args...)}
}

// because adds the module's error as the cause.
func (f *fault) because(err error) *fault {
	f.cause = err
	return f
}

func refuse(class, format string, args ...any) answer {
	return answer{Version: version, Fault: faultf(class, format, args...)}
}
