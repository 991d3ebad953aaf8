package main

import "fmt"

// The protocol. docs/pkcs11.md has it, and package wrap/pkcs11 is its other side.
const (
	version    = 1
	maxRequest = 256 << 10
)

// A request is what is to be done.
type request struct {
	Version   int    `json:"version"`
	Operation string `json:"operation"` // find, wrap or unwrap

	ModulePath string `json:"module_path,omitempty"` // of the library
	ModuleName string `json:"module_name,omitempty"` // or its name without lib and .so, in the usual folders

	// Attributes choose the token and the key, by the names of RFC 7512; the id is in hexadecimal digits.
	Attributes map[string]string `json:"attributes"`
	PIN        []byte            `json:"pin,omitempty"`       // base64, as Data
	Mechanism  string            `json:"mechanism,omitempty"` // of what is to be unwrapped
	Data       []byte            `json:"data,omitempty"`      // what is to be wrapped, or unwrapped
}

// An answer is what came of it.
type answer struct {
	Version int `json:"version"`

	Token  string `json:"token,omitempty"`  // the label of the token that was found
	Object string `json:"object,omitempty"` // the label of the key
	ID     string `json:"id,omitempty"`     // of the key, in hexadecimal digits
	Type   string `json:"type,omitempty"`   // secret-key or private

	Mechanism string `json:"mechanism,omitempty"` // that wrapped
	Data      []byte `json:"data,omitempty"`

	Fault *fault `json:"error,omitempty"`
}

// The classes of faults.
const (
	classRequest   = "request"    // the request is malformed
	classModule    = "module"     // the module cannot be loaded
	classToken     = "token"      // no such token, or several
	classNoPIN     = "pin-needed" // the token wants a PIN, and none was given
	classPIN       = "pin"        // the PIN is wrong
	classLocked    = "pin-locked" // the PIN is locked, or one more wrong one locks it
	classKey       = "key"        // no such key, or several
	classMechanism = "mechanism"  // nothing that the token has wraps with this key
	classDenied    = "denied"     // the key or the user may not do this
	classData      = "data"       // what is to be unwrapped is damaged, or of another key
	classDevice    = "device"     // the token failed
)

// A fault is why a request was not done.
type fault struct {
	Class   string `json:"class"`
	Code    string `json:"code,omitempty"` // CKR_...
	Message string `json:"message"`

	cause error
}

func (f *fault) Error() string { return f.Message }
func (f *fault) Unwrap() error { return f.cause }

func faultf(class, format string, args ...any) *fault {
	return &fault{Class: class, Message: fmt.Sprintf(format, args...)}
}

// because adds what a module said.
func (f *fault) because(err error) *fault {
	f.cause = err
	return f
}

func refuse(class, format string, args ...any) answer {
	return answer{Version: version, Fault: faultf(class, format, args...)}
}
