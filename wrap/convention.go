package wrap

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"

	"github.com/luksimg/luksimg/internal/advice"
)

// A Convention says which bytes of the key material are wrapped and which bytes open the disk. Each encrypted-image
// format of IBM Cloud has its own. An image made with the wrong convention imports, but never boots.
//
// The key material is the content of a key file. For each convention:
//
//	convention    material                         opens the disk  is wrapped
//	none          1 to 4096 bytes                  the material    base64 of the material
//	classic-luks  base64 text, 32..512 characters  the text        the text
//	classic-vhd   32 or 64 bytes                   the material    base64 of the material
//	vpc-qcow2     UTF-8 text, 1..512 bytes         the text        base64 of the text
type Convention string

// The conventions.
const (
	None        Convention = "none"
	ClassicLUKS Convention = "classic-luks"
	ClassicVHD  Convention = "classic-vhd"
	VPCQCOW2    Convention = "vpc-qcow2"
)

// ErrKey means that key material breaks the rule of its convention. The error's text names the rule and holds nothing
// of the key.
var ErrKey = advice.New("key material breaks the rule",
	"--profile says how the cloud uses the key: classic-luks wants base64 text of 32 to 512 characters without a newline, as keygen writes it")

// A KeyError says how key material breaks the rule of its convention. It holds nothing of the key, and matches
// [ErrKey].
type KeyError struct {
	Convention Convention
	Reason     string // a sentence: "it ends with a newline"
}

func (e *KeyError) Error() string {
	return fmt.Sprintf("%v of key convention %s: %s", ErrKey, e.Convention, e.Reason)
}

// Unwrap returns [ErrKey].
func (e *KeyError) Unwrap() error { return ErrKey }

// Keys holds a data encryption key in its two forms. Both are secret. The caller wipes them with Clear.
type Keys struct {
	Disk      []byte // opens the disk: a passphrase, or the AES-XTS key
	Plaintext []byte // the input of a [Wrapper]: base64 text
}

// Clear wipes both forms.
func (k *Keys) Clear() { clear(k.Disk); clear(k.Plaintext) }

// String returns a fixed text, so that fmt does not print the keys.
func (k Keys) String() string { return "wrap.Keys(redacted)" }

// GoString returns the same text as String, for fmt's %#v.
func (k Keys) GoString() string { return k.String() }

// MarshalJSON always returns an error, so that keys never reach a JSON document.
func (k Keys) MarshalJSON() ([]byte, error) { return nil, errors.New("keys cannot be encoded as JSON") }

// ParseConvention returns the convention with this name, and an error for an unknown name. The empty name is [None].
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

// Material turns random bytes, as [NewDEK] returns them, into key material of the convention. That is base64 text
// where the convention requires text, and otherwise the bytes themselves. The result is new memory, which the caller
// wipes. If the bytes break the rule, the error is a [KeyError].
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

// Check returns a [KeyError] if the key material breaks the rule of the convention.
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

// Generated reports whether the convention requires generated keys, as those of classic infrastructure do.
//
// Only a generated key has a [Fingerprint] in files beside an image. A fingerprint is a fast hash. For a passphrase
// that a person chose, it would let an attacker test guesses without the slow key derivation of the image's key
// slots.
func (c Convention) Generated() bool {
	r, _ := c.rule()
	return r.generated
}

// Text returns a sentence that says which bytes are the passphrase and which bytes are wrapped.
func (c Convention) Text() string {
	r, _ := c.rule()
	return r.say
}

// Keys checks key material and returns the bytes that open the disk and the bytes to wrap: see the table at
// [Convention]. If the material breaks the rule, the error is a [KeyError].
func (c Convention) Keys(material []byte) (Keys, error) {
	if err := c.Check(material); err != nil {
		return Keys{}, err
	}
	if r, _ := c.rule(); r.asItIs {
		return Keys{Disk: bytes.Clone(material), Plaintext: bytes.Clone(material)}, nil
	}
	return Keys{Disk: bytes.Clone(material), Plaintext: encode(material)}, nil
}

// Unwrapped reverses [Convention.Keys]: from the plaintext that an [Unwrapper] returned, it returns the bytes that
// open the disk. The result is new memory, which the caller wipes. If the plaintext breaks the rule, the error is a
// [KeyError].
func (c Convention) Unwrapped(plaintext []byte) (disk []byte, err error) {
	if r, _ := c.rule(); r.asItIs {
		disk = bytes.Clone(plaintext)
	} else if disk, err = decode(plaintext); err != nil {
		return nil, c.wrong("the unwrapped text is not base64")
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

// decode accepts strict base64 only: no line breaks, which package base64 skips, no missing padding and no stray bits
// at the end. So encoding the result gives the same text.
func decode(text []byte) ([]byte, error) {
	if bytes.ContainsAny(text, "\r\n") {
		return nil, errBase64
	}
	b := make([]byte, base64.StdEncoding.DecodedLen(len(text)))
	n, err := base64.StdEncoding.Strict().Decode(b, text)
	if err != nil || n == 0 {
		clear(b)
		return nil, errBase64 // not err, which gives the position of a byte of the key
	}
	return b[:n], nil
}
