// Package wrap is about data encryption keys (DEKs): making them, what a cloud's image
// profile makes of one ([Convention]), having them wrapped by a root key that never
// leaves its keeper ([Wrapper], [Unwrapper]), and the small file that goes with an
// encrypted image so that its key can be had back ([Envelope]).
//
// The keepers of root keys are packages of their own: wrap/local has the root key in a
// file, wrap/keyprotect has it in IBM Key Protect or Hyper Protect Crypto Services, wrap/vault
// in Vault or OpenBao, wrap/awskms in AWS KMS, and wrap/pkcs11 on a PKCS#11 token.
package wrap

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"

	"github.com/luksimg/luksimg/internal/advice"
)

// A Wrapper encrypts a data encryption key under a root key. It is separate from
// [Unwrapper], for the identity that builds an image may often wrap but not unwrap.
type Wrapper interface {
	// Wrap returns the wrapped key (WDEK), which is text without secrets that only the
	// same root key can turn back. The plaintext is standard base64 with padding and
	// without line breaks, as [Keys.Plaintext] is. Wrap does not keep it.
	Wrap(ctx context.Context, plaintext []byte) (wdek string, err error)
}

// An Unwrapper turns wrapped keys back.
type Unwrapper interface {
	// Unwrap returns what was wrapped. The caller owns the result and wipes it with
	// [Unwrapped.Clear].
	Unwrap(ctx context.Context, wdek string) (Unwrapped, error)
}

// Unwrapped is the result of an [Unwrapper].
type Unwrapped struct {
	// Plaintext is what was wrapped: base64 text. Secret.
	Plaintext []byte
	// Rewrapped is not empty if the root key was rotated since the key was wrapped: the
	// same key, wrapped by the newest version. Keep it in place of the old one.
	Rewrapped string
}

// Clear wipes the plaintext.
func (u *Unwrapped) Clear() { clear(u.Plaintext) }

// String hides the plaintext from fmt.
func (u Unwrapped) String() string { return "wrap.Unwrapped(redacted)" }

// GoString hides the plaintext from fmt's %#v.
func (u Unwrapped) GoString() string { return u.String() }

// MarshalJSON refuses: an unwrapped key belongs in no JSON.
func (u Unwrapped) MarshalJSON() ([]byte, error) {
	return nil, errors.New("an unwrapped key is not for JSON")
}

// Errors that all keepers of root keys share. Those of a service have more to tell: see
// the Error type of its package.
var (
	// ErrRefused is a service that answered, and said no. More particular errors
	// ([ErrAuth], [ErrDenied], [ErrNotFound], [ErrKeyState]) match it too.
	ErrRefused error = &kind{text: "refused by the service", refused: true}
	// ErrAuth is a credential that is wrong or has expired.
	ErrAuth = errors.New("not authenticated")
	// ErrDenied is an identity that may not do this.
	ErrDenied = errors.New("not allowed")
	// ErrNotFound is a root key that is not there: not in this region or instance.
	ErrNotFound = errors.New("root key not found")
	// ErrKeyState is a root key that cannot be used as it is: suspended, deactivated,
	// expired or deleted.
	ErrKeyState = errors.New("root key is not in a usable state")
	// ErrWDEK is a wrapped key that the root key cannot turn back: damaged, or wrapped by
	// another root key.
	ErrWDEK = advice.With(&kind{text: "wrapped key does not unwrap", refused: true},
		"the wrapped key is damaged, or another root key wrapped it: its envelope or token names the root key")
	// ErrUnavailable is a service that gave no usable answer, after retries: no
	// connection, too many requests, an error of its own. Trying later may help.
	ErrUnavailable = advice.With(&kind{text: "service unavailable", temporary: true},
		"check the network and the address of the service, and try again")
)

// A kind is an error that tells whether it is a refusal, and whether the same call may work
// later.
type kind struct {
	text               string
	refused, temporary bool
}

func (k *kind) Error() string   { return k.text }
func (k *kind) Refused() bool   { return k.refused }
func (k *kind) Temporary() bool { return k.temporary }

// A Size is the length of a DEK in bytes.
type Size int

// Sizes of a DEK. The first and the last are the lengths of AES-128-XTS and AES-256-XTS
// keys.
const (
	Size32 Size = 32
	Size48 Size = 48
	Size64 Size = 64
)

// NewDEK returns a data encryption key of 32, 48 or 64 bytes from the system's source of
// randomness. The caller wipes it.
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

// MaxRandom is how many random bytes fit the 512 characters that IBM Cloud takes, as base64.
const MaxRandom = 384

// NewMaterial returns key material of n random bytes, 16 to [MaxRandom]: their base64 text,
// without a newline, or with raw the bytes themselves. The caller wipes it.
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
