package wrap

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/luksimg/luksimg/internal/advice"
)

// TokenType is the type of LUKS2 tokens that hold an envelope.
const TokenType = "luksimg-wdek"

// maxKeyslots is how many key slots LUKS2 has.
const maxKeyslots = 32

var (
	// ErrToken is a token of [TokenType] that breaks its rules.
	ErrToken = advice.New("malformed token", "luksimg wrap --token IMAGE writes it anew")

	// ErrMoved is a token that was made for another image.
	ErrMoved = advice.New("the token is of another image", "a token goes with one image: luksimg wrap --token IMAGE writes one for this image, given its key")
)

// A Token is a LUKS2 token that holds an envelope of version 2: the image says by itself which
// root key opens it. docs/token.md has the format.
type Token struct {
	*Envelope
	Keyslots []int // that the key in it opens, in the order of the token
}

// JSON returns the token as it stands in a header: the members of the envelope, and type and
// keyslots. The envelope must be bound, and name the image.
func (t Token) JSON() ([]byte, error) {
	switch {
	case t.Envelope == nil || !t.Bound():
		return nil, fmt.Errorf("%w: it is not bound to its image", ErrToken)
	case t.ImageUUID == "":
		return nil, fmt.Errorf("%w: it names no image", ErrToken)
	}
	var b bytes.Buffer
	if err := t.Write(&b); err != nil {
		return nil, err
	}
	fields, err := object(b.Bytes())
	if err != nil {
		return nil, err
	}
	slots := []string{}
	for _, n := range t.Keyslots {
		slots = append(slots, strconv.Itoa(n))
	}
	fields["type"], _ = json.Marshal(TokenType)
	fields["keyslots"], _ = json.Marshal(slots)
	text, err := json.Marshal(fields)
	if err == nil {
		_, err = ParseToken(text)
	}
	return text, err
}

// ParseToken reads a token of [TokenType], at most 64 KiB. What breaks the rules is an [ErrToken]
// that names the member.
func ParseToken(text []byte) (Token, error) {
	t, err := parseToken(text)
	if err != nil {
		reason := strings.TrimPrefix(err.Error(), ErrEnvelope.Error()+": ")
		return Token{}, fmt.Errorf("%w: %s", ErrToken, reason)
	}
	return t, nil
}

func parseToken(text []byte) (t Token, err error) {
	if len(text) > maxEnvelope {
		return t, bad("it has more than %d bytes", maxEnvelope)
	}
	fields, err := object(text)
	if err != nil {
		return t, err
	}
	var kind string
	var slots []string
	if json.Unmarshal(fields["type"], &kind) != nil || kind != TokenType {
		return t, bad("type is not %s", TokenType)
	}
	if raw := fields["keyslots"]; len(raw) == 0 || string(raw) == "null" || json.Unmarshal(raw, &slots) != nil || len(slots) > maxKeyslots {
		return t, bad("keyslots is not an array of at most %d strings", maxKeyslots)
	}
	for _, s := range slots {
		n, err := strconv.Atoi(s)
		if err != nil || n < 0 || n >= maxKeyslots || strconv.Itoa(n) != s || slices.Contains(t.Keyslots, n) {
			return t, bad("keyslots has %.16q, which is no key slot, or is there twice", s)
		}
		t.Keyslots = append(t.Keyslots, n)
	}
	delete(fields, "type")
	delete(fields, "keyslots")
	if t.Envelope, err = envelopeOf(fields); err != nil {
		return t, err
	}
	switch {
	case !t.Bound():
		return t, bad("version is 1, want 2")
	case t.ImageUUID == "":
		return t, bad("image_uuid is missing")
	}
	return t, nil
}

// Of returns an error unless the token is of the image whose header has this UUID.
func (t Token) Of(uuid string) error {
	if uuid == "" || !strings.EqualFold(t.ImageUUID, uuid) {
		return fmt.Errorf("%w: it is of the one with UUID %s, not %s", ErrMoved, t.ImageUUID, uuid)
	}
	return nil
}

// ErrNoToken is an image that has no token of [TokenType] which the root key could open.
var ErrNoToken = advice.New("the image has no token of this root key", "luksimg wrap --token IMAGE writes one, given the key of the image")
