package wrap

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"

	"github.com/luksimg/luksimg/internal/advice"
)

// A Convention is the rule that says which bytes are wrapped and which bytes open the
// disk. The encrypted-image formats of IBM Cloud each have their own, and a mix-up gives
// an image that imports and never boots.
//
// The key material is what a key file holds. For each convention:
//
//	convention    material                       opens the disk     is wrapped
//	none          1 to 4096 bytes                the material       base64 of the material
//	classic-luks  base64 text, 32..512 characters  the text itself  the same text
//	classic-vhd   32 or 64 bytes                 the material       base64 of the material
//	vpc-qcow2     UTF-8 text, 1..512 bytes       the text itself    base64 of the text
type Convention string

// The conventions.
const (
	None        Convention = "none"
	ClassicLUKS Convention = "classic-luks"
	ClassicVHD  Convention = "classic-vhd"
	VPCQCOW2    Convention = "vpc-qcow2"
)

// ErrKey is key material that breaks the rule of its convention. The error's text says
// which rule and holds nothing of the key.
var ErrKey = advice.New("key material breaks the rule",
	"--profile says what the cloud makes of the key: classic-luks wants base64 text of 32 to 512 characters without a newline, as keygen writes it")

// A KeyError says how key material breaks the rule of its convention. It holds nothing of the
// key. It wraps [ErrKey].
type KeyError struct {
	Convention Convention
	Reason     string // a sentence: "it ends with a newline"
}

func (e *KeyError) Error() string {
	return fmt.Sprintf("%v of key convention %s: %s", ErrKey, e.Convention, e.Reason)
}

// Unwrap returns [ErrKey].
func (e *KeyError) Unwrap() error { return ErrKey }

// Keys are the two faces of a data encryption key. Both are secret; the caller wipes
// them with Clear.
type Keys struct {
	Disk      []byte // opens the disk: a passphrase, or the AES-XTS key
	Plaintext []byte // is what a [Wrapper] takes: base64 text
}

// Clear wipes both.
func (k *Keys) Clear() { clear(k.Disk); clear(k.Plaintext) }

// String hides the keys from fmt.
func (k Keys) String() string { return "wrap.Keys(redacted)" }

// GoString hides the keys from fmt's %#v.
func (k Keys) GoString() string { return k.String() }

// MarshalJSON refuses: keys belong in no JSON.
func (k Keys) MarshalJSON() ([]byte, error) { return nil, errors.New("keys are not for JSON") }

// ParseConvention returns the convention of a name. The empty name is [None].
func ParseConvention(name string) (Convention, error) {
	if name == "" {
		return None, nil
	}
	_, err := Convention(name).rule()
	if err != nil {
		return "", err
	}
	return Convention(name), nil
}

// Material turns random bytes, as [NewDEK] returns, into key material of the convention:
// base64 text where the convention wants text, the bytes themselves where not. The
// result is new memory, which the caller wipes.
func (c Convention) Material(dek []byte) ([]byte, error) {
	r, err := c.rule()
	switch {
	case len(dek) == 0:
		return nil, c.wrong("it is empty")
	case err != nil:
		return nil, err
	case r.text:
		return encode(dek), nil
	}
	if err := c.Check(dek); err != nil {
		return nil, err
	}
	return bytes.Clone(dek), nil
}

// Check tells whether key material follows the convention's rule; if not, what is wrong
// with it, as a [KeyError].
func (c Convention) Check(material []byte) error {
	r, err := c.rule()
	if err != nil {
		return err
	}
	if reason := r.check(material); reason != "" {
		return c.wrong("%s", reason)
	}
	return nil
}

// Generated reports whether the keys of the convention are made by a generator, as the
// profiles of classic infrastructure ask for.
//
// Only such a key has a [Fingerprint] in files that stand beside an image. That is a fast
// hash: of a passphrase that a person chose it would let others try guesses without the
// slow derivation that the key slots of the image ask for.
func (c Convention) Generated() bool {
	r, _ := c.rule()
	return r.generated
}

// Text says in a sentence what of the key is the passphrase, and what of it is wrapped.
func (c Convention) Text() string {
	r, _ := c.rule()
	return r.say
}

// Keys returns what opens the disk and what is to be wrapped, from key material: see the
// table at [Convention]. It checks the material first.
func (c Convention) Keys(material []byte) (Keys, error) {
	if err := c.Check(material); err != nil {
		return Keys{}, err
	}
	if r, _ := c.rule(); r.asItIs {
		return Keys{Disk: bytes.Clone(material), Plaintext: bytes.Clone(material)}, nil
	}
	return Keys{Disk: bytes.Clone(material), Plaintext: encode(material)}, nil
}

// Unwrapped is the way back of Keys: from what an [Unwrapper] returned to what opens the
// disk. The result is new memory, which the caller wipes.
func (c Convention) Unwrapped(plaintext []byte) (disk []byte, err error) {
	if r, _ := c.rule(); r.asItIs {
		disk = bytes.Clone(plaintext)
	} else if disk, err = decode(plaintext); err != nil {
		return nil, c.wrong("what was unwrapped is not base64 text")
	}
	if err := c.Check(disk); err != nil {
		clear(disk)
		return nil, err
	}
	return disk, nil
}

func (c Convention) wrong(format string, args ...any) error {
	if c == "" {
		c = None
	}
	return &KeyError{c, fmt.Sprintf(format, args...)}
}

func encode(b []byte) []byte {
	text := make([]byte, base64.StdEncoding.EncodedLen(len(b)))
	base64.StdEncoding.Encode(text, b)
	return text
}

var errBase64 = errors.New("not base64 text")

// decode is strict: no line breaks, which package base64 skips, no missing padding and
// no loose bits at the end, so that decoding and encoding again gives the same text.
func decode(text []byte) ([]byte, error) {
	if bytes.ContainsAny(text, "\r\n") {
		return nil, errBase64
	}
	b := make([]byte, base64.StdEncoding.DecodedLen(len(text)))
	n, err := base64.StdEncoding.Strict().Decode(b, text)
	if err != nil || n == 0 {
		clear(b)
		return nil, errBase64 // not err: it tells of a byte of the key
	}
	return b[:n], nil
}
