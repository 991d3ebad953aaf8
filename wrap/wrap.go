// Package wrap handles data encryption keys (DEKs). [NewDEK] makes one. A [Convention] says which bytes a cloud's
// image profile derives from it. A [Wrapper] and an [Unwrapper] wrap and unwrap it with a root key that never leaves
// its keeper: a service, a token or a file. An [Envelope] is the small file beside an encrypted image from which the
// key can be recovered.
//
// Each keeper has a package: wrap/local for files, wrap/keyprotect for IBM Key Protect and Hyper Protect Crypto
// Services, wrap/vault for Vault and OpenBao, wrap/awskms for AWS KMS, and wrap/pkcs11 for PKCS#11 tokens.
package wrap

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"

	"github.com/luksimg/luksimg/internal/advice"
)

// A Wrapper encrypts a data encryption key under a root key. [Unwrapper] is a separate interface because the identity
// that builds an image often may wrap but not unwrap. Errors match those of this package: [ErrAuth], [ErrDenied] and
// so on.
type Wrapper interface {
	// Wrap returns the wrapped key (WDEK): text that holds no secret and that only the same root key can unwrap. The
	// plaintext is standard base64 with padding and without line breaks, as [Keys.Plaintext] is. Wrap does not keep
	// it.
	Wrap(ctx context.Context, plaintext []byte) (wdek string, err error)
}

// An Unwrapper unwraps wrapped keys.
type Unwrapper interface {
	// Unwrap returns the plaintext of a wrapped key. The caller owns the result and wipes it with [Unwrapped.Clear].
	Unwrap(ctx context.Context, wdek string) (Unwrapped, error)
}

// Unwrapped is the result of an [Unwrapper].
type Unwrapped struct {
	// Plaintext is the data encryption key as base64 text. Secret.
	Plaintext []byte
	// Rewrapped is the same key, wrapped by the newest version of the root key, if the root key was rotated after it
	// wrapped the key. Store it in place of the old wrapped key. Otherwise it is empty.
	Rewrapped string
}

// Clear wipes the plaintext.
func (u *Unwrapped) Clear() { clear(u.Plaintext) }

// String returns a fixed text, so that fmt does not print the plaintext.
func (u Unwrapped) String() string { return "wrap.Unwrapped(redacted)" }

// GoString returns the same text as String, for fmt's %#v.
func (u Unwrapped) GoString() string { return u.String() }

// MarshalJSON always returns an error, so that the key never reaches a JSON document.
func (u Unwrapped) MarshalJSON() ([]byte, error) {
	return nil, errors.New("an unwrapped key cannot be encoded as JSON")
}

// Errors of all keepers of root keys. The Error type of each package adds the details of its service.
var (
	// ErrRefused means that the service refused the request. The more specific errors [ErrAuth], [ErrDenied],
	// [ErrNotFound] and [ErrKeyState] match it too, if they come from a service.
	ErrRefused error = &kind{text: "refused by the service", refused: true}
	// ErrAuth means that a credential is wrong or expired.
	ErrAuth = errors.New("not authenticated")
	// ErrDenied means that the identity lacks permission for the request.
	ErrDenied = errors.New("not allowed")
	// ErrNotFound means that the root key does not exist in this region or instance.
	ErrNotFound = errors.New("root key not found")
	// ErrKeyState means that the state of the root key forbids the operation: it is suspended, deactivated, expired or
	// deleted.
	ErrKeyState = errors.New("root key is not in a usable state")
	// ErrWDEK means that the root key cannot unwrap the wrapped key: it is damaged, or another root key wrapped it.
	ErrWDEK = advice.With(&kind{text: "wrapped key does not unwrap", refused: true},
		"the wrapped key is damaged, or another root key wrapped it: its envelope or token names the root key")
	// ErrUnavailable means that the service gave no usable response after retries: no connection, too many requests,
	// or an internal error. The same request can succeed later.
	ErrUnavailable = advice.With(&kind{text: "service unavailable", temporary: true},
		"check the network and the address of the service, and try again")
)

// A kind is an error that reports whether it is a refusal, and whether the same call may succeed later.
type kind struct {
	text               string
	refused, temporary bool
}

func (k *kind) Error() string   { return k.text }
func (k *kind) Refused() bool   { return k.refused }
func (k *kind) Temporary() bool { return k.temporary }

// A Size is the length of a DEK in bytes.
type Size int

// Sizes of a DEK. Size32 and Size64 are also the lengths of AES-128-XTS and AES-256-XTS keys.
const (
	Size32 Size = 32
	Size48 Size = 48
	Size64 Size = 64
)

// NewDEK returns a data encryption key of 32, 48 or 64 bytes from the system's random source. For another size, the
// error is [ErrKey]. The caller wipes the key.
func NewDEK(size Size) ([]byte, error) {
	switch size {
	case Size32, Size48, Size64:
	default:
		return nil, fmt.Errorf("%w: a data encryption key has 32, 48 or 64 bytes, not %d", ErrKey, int(size))
	}
	dek := make([]byte, size)
	rand.Read(dek) // never fails: see crypto/rand
	return dek, nil
}

// MaxRandom is the largest number of random bytes whose base64 text fits the 512 characters that IBM Cloud accepts.
const MaxRandom = 384

// NewMaterial returns key material of n random bytes, 16 to [MaxRandom]. It returns their base64 text without a
// newline, or the bytes themselves if raw is true. The caller wipes the material.
func NewMaterial(n int, raw bool) ([]byte, error) {
	if n < 16 || n > MaxRandom {
		return nil, fmt.Errorf("a key of %d bytes: want from 16 to %d", n, MaxRandom)
	}
	key := make([]byte, n)
	rand.Read(key)
	if raw {
		return key, nil
	}
	defer clear(key)
	text := make([]byte, base64.StdEncoding.EncodedLen(n))
	base64.StdEncoding.Encode(text, key)
	return text, nil
}
