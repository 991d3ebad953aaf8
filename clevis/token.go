package clevis

import (
	"bytes"
	"encoding/json"
)

// TokenType is the type of the LUKS2 tokens in which clevis stores the binding of a key slot. The secret of the
// binding is the passphrase of the key slot.
const TokenType = "clevis"

// A flattened is a JWE in the flattened JSON serialization. RFC 7516, section 7.2.2.
type flattened struct {
	Ciphertext   string `json:"ciphertext"`
	EncryptedKey string `json:"encrypted_key"`
	IV           string `json:"iv"`
	Protected    string `json:"protected"`
	Tag          string `json:"tag"`
}

// Token returns the LUKS2 token of a binding, as clevis luks bind writes it, with no key slots yet.
func Token(binding []byte) ([]byte, error) {
	if _, err := parseCompact(binding); err != nil {
		return nil, err
	}
	p := bytes.Split(bytes.TrimSpace(binding), []byte("."))
	return json.Marshal(struct {
		Type     string    `json:"type"`
		Keyslots []string  `json:"keyslots"`
		JWE      flattened `json:"jwe"`
	}{TokenType, []string{}, flattened{Protected: string(p[0]), EncryptedKey: string(p[1]), IV: string(p[2]), Ciphertext: string(p[3]), Tag: string(p[4])}})
}

// FromToken returns the binding in a token of type [TokenType]. If the token is malformed, the error is
// [ErrFormat].
func FromToken(token []byte) ([]byte, error) {
	var t struct {
		Type string     `json:"type"`
		JWE  *flattened `json:"jwe"`
	}
	if err := json.Unmarshal(token, &t); err != nil {
		return nil, malformed("the token: %v", err)
	}
	if t.Type != TokenType {
		return nil, malformed("the token has type %q, want %q", t.Type, TokenType)
	}
	if t.JWE == nil {
		return nil, malformed("the token has no jwe")
	}
	parts := []string{t.JWE.Protected, t.JWE.EncryptedKey, t.JWE.IV, t.JWE.Ciphertext, t.JWE.Tag}
	var b []byte
	for i, p := range parts {
		if i > 0 {
			b = append(b, '.')
		}
		b = append(b, p...)
	}
	if _, err := parseCompact(b); err != nil {
		return nil, err
	}
	return b, nil
}
