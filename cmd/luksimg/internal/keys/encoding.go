package keys

import (
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
)

// An Encoding says how the bytes of a key file become the passphrase. It implements pflag.Value.
type Encoding string

// The encodings. Raw is the empty string: the passphrase is the bytes themselves.
const (
	Raw    Encoding = ""
	Hex    Encoding = "hex"    // lower case, as OpenStack encodes a symmetric secret
	Base64 Encoding = "base64" // standard, with padding and on one line
)

// String implements pflag.Value.
func (e *Encoding) String() string { return string(*e) }

// Type implements pflag.Value.
func (e *Encoding) Type() string { return "encoding" }

// Set implements pflag.Value.
func (e *Encoding) Set(s string) error {
	switch s {
	case "raw":
		*e = Raw
	case string(Hex), string(Base64):
		*e = Encoding(s)
	default:
		return errors.New("want hex, base64 or raw")
	}
	return nil
}

// Text returns the passphrase for the bytes of a key. It wipes the bytes unless they are the passphrase.
func (e Encoding) Text(key []byte) []byte {
	var text []byte
	switch e {
	case Hex:
		text = make([]byte, hex.EncodedLen(len(key)))
		hex.Encode(text, key)
	case Base64:
		text = make([]byte, base64.StdEncoding.EncodedLen(len(key)))
		base64.StdEncoding.Encode(text, key)
	default:
		return key
	}
	clear(key)
	return text
}

// Encoding returns the encoding of the key.
func (k *Flags) Encoding() Encoding { return k.encoding }

// needBytes returns an error if an encoding was given for a passphrase, which is text already.
func (k *Flags) needBytes() error {
	if k.encoding == Raw {
		return nil
	}
	return fmt.Errorf("--passphrase-encoding %s is for the bytes of a key file: give it with --key-file or --key-fd", k.encoding)
}
