package pkcs11

import (
	"errors"
	"strings"

	"github.com/luksimg/luksimg/internal/advice"
	"github.com/luksimg/luksimg/internal/rest"
	"github.com/luksimg/luksimg/wrap"
	"github.com/luksimg/luksimg/wrap/internal/kind"
)

// An Error reports a failed call, whether luksimg-pkcs11, the module or the token failed. It holds neither
// keys nor PINs. It matches one of the errors of package wrap, or [ErrModule].
type Error = rest.Error

var (
	// ErrPIN means that the PIN is wrong or locked. Do not try it again: the token may lock itself. It
	// matches wrap.ErrAuth.
	ErrPIN = errors.New("PIN refused")
	// ErrNoPIN means that the token requires a PIN and none was given. No PIN was tried. It matches
	// wrap.ErrAuth.
	ErrNoPIN = errors.New("no PIN was given")
	// ErrModule means that the module cannot be loaded.
	ErrModule = errors.New("module cannot be used")
)

const moduleHint = "module-path in the URI names the file of the module, as in pkcs11:object=KEY?module-path=/usr/lib/softhsm/libsofthsm2.so, and module-name its name; or PKCS11_MODULE_PATH is set to the file"

var errNoModule = advice.With(errors.New("pkcs11: no module is given"), moduleHint)

// classes maps the error classes of luksimg-pkcs11 to errors and hints.
var classes = map[string]struct {
	sort  error
	cause error
	hint  string
}{
	"module":     {ErrModule, nil, moduleHint + "; it must be built for this machine, and have version 2 or later"},
	"token":      {wrap.ErrUnavailable, nil, "insert the token, or name another one: pkcs11-tool --module FILE -L lists them"},
	"pin-needed": {wrap.ErrAuth, ErrNoPIN, "pin-source in the URI names a file with the PIN; on a terminal, luksimg prompts for it"},
	"pin":        {wrap.ErrAuth, ErrPIN, "luksimg tried the PIN only once, because a token locks itself after several wrong PINs: check the PIN, and that it is the user PIN"},
	"pin-locked": {wrap.ErrAuth, ErrPIN, "log in with the right PIN in another program, such as pkcs11-tool --login --test, or have the security officer set a new one: pkcs11-tool --init-pin"},
	"key":        {wrap.ErrNotFound, nil, "pkcs11-tool --module FILE --login -O lists the keys of the token; object, id and type in the URI select one"},
	"mechanism":  {wrap.ErrKeyState, nil, "the token needs an AES key with AES-KWP or AES-GCM, or an RSA key with RSA-OAEP and SHA-256; pkcs11-tool --module FILE -M lists its mechanisms"},
	"denied":     {wrap.ErrDenied, nil, "the key needs CKA_ENCRYPT and CKA_DECRYPT, or CKA_WRAP and CKA_UNWRAP: pkcs11-tool --module FILE --login -O shows its usage"},
	"data":       {wrap.ErrWDEK, nil, ""},
	"device":     {wrap.ErrUnavailable, nil, "the token or its module has a problem: see their log, and try again"},
}

// fault returns the error for an error response.
func fault(op, class, code, message string) error {
	c, ok := classes[class]
	if !ok {
		return unusable(op, message)
	}
	if c.sort == ErrModule {
		return advice.With(&Error{Service: "pkcs11", Op: op, Code: rest.Clean(code), Message: rest.Clean(message), Err: ErrModule}, c.hint)
	}
	e := failed(op, c.sort, code, message, c.hint)
	if c.cause != nil {
		e.Err = kind.Of(c.sort, nil, c.cause)
	}
	return e
}

func failed(op string, sort error, code, message, hint string) *Error {
	return &Error{Service: "pkcs11", Op: op, Code: rest.Clean(code), Message: rest.Clean(strings.TrimSpace(message)), Err: kind.Of(sort, nil), Advice: hint,
		Answered: sort != wrap.ErrUnavailable}
}

// unusable returns the error for output that is not a valid response.
func unusable(op, message string) *Error {
	return &Error{Service: "pkcs11", Op: op, Message: rest.Clean(message), Err: kind.Of(wrap.ErrUnavailable, rest.ErrAnswer),
		Advice: "check that " + Program + " has the same version as luksimg, and that the module works with other programs: pkcs11-tool --module FILE -L"}
}
