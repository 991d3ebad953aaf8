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

// TokenType is the type of a LUKS2 token that holds an envelope.
const TokenType = "luksimg-wdek"

// maxKeyslots is the number of key slots in LUKS2.
const maxKeyslots = 32

var (
	// ErrToken means that a token of [TokenType] breaks the rules.
	ErrToken = advice.New("malformed token", "luksimg wrap --token IMAGE replaces it")

	// ErrMoved means that a token belongs to another image.
	ErrMoved = advice.New("the token belongs to another image", "a token belongs to one image: luksimg wrap --token IMAGE with the key of this image writes one for it")
)

// A Token is a LUKS2 token that holds an envelope of version 2. With it, the image itself names its root key.
// docs/token.md specifies the format.
type Token struct {
	*Envelope
	Keyslots []int // the key slots that the wrapped key opens, in the order of the token
}

// JSON returns the token as the LUKS2 header stores it: the members of the envelope, type and keyslots. If the
// envelope is not bound, or names no image, the error is [ErrToken].
func (t Token) JSON() ([]byte, error) {
	switch {
	case t.Envelope == nil || !t.Bound():
		return nil, fmt.Errorf("%w: the envelope has no binding", ErrToken)
	case t.ImageUUID == "":
		return nil, fmt.Errorf("%w: image_uuid is missing", ErrToken)
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

// ParseToken parses a token of [TokenType], of at most 64 KiB. If the token breaks the rules, the error matches
// [ErrToken] and names the member.
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
		return t, bad("the token has more than %d bytes", maxEnvelope)
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
			return t, bad("keyslots has %.16q, which is not a key slot or appears twice", s)
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

// Of returns [ErrMoved] unless uuid, from the header of an image, is the token's image_uuid.
func (t Token) Of(uuid string) error {
	if uuid == "" || !strings.EqualFold(t.ImageUUID, uuid) {
		return fmt.Errorf("%w: it has the UUID %s, not %s", ErrMoved, t.ImageUUID, uuid)
	}
	return nil
}

// ErrNoToken means that an image has no token of [TokenType] for the root key.
var ErrNoToken = advice.New("the image has no token of this root key", "luksimg wrap --token IMAGE with the key of the image writes one")
