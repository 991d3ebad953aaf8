package clevis

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
)

const (
	encA256GCM = "A256GCM"
	keySize    = 32 // bytes of an A256GCM key
	ivSize     = 12
	tagSize    = 16
)

// b64 is base64url without padding. Strict decoding ensures that each value has one encoding.
var b64 = base64.RawURLEncoding.Strict()

// A jwe is an encrypted text with a protected header and without an encrypted key: both sides derive the key. RFC
// 7516, section 7.1.
type jwe struct {
	protected  []byte // the header as base64url
	header     []byte // the decoded header
	iv         []byte
	ciphertext []byte
	tag        []byte
}

// parseCompact parses the compact serialization: five parts, separated by dots.
func parseCompact(text []byte) (*jwe, error) {
	if len(text) > maxBinding {
		return nil, malformed("%d bytes, more than %d", len(text), maxBinding)
	}
	parts := bytes.Split(bytes.TrimSpace(text), []byte("."))
	if len(parts) != 5 {
		return nil, malformed("a JWE has 5 parts, not %d", len(parts))
	}
	if len(parts[1]) != 0 {
		return nil, unsupported("a JWE with an encrypted key")
	}
	j := &jwe{protected: parts[0]}
	for _, p := range []struct {
		name string
		text []byte
		to   *[]byte
		size int
	}{
		{"protected header", parts[0], &j.header, 0},
		{"initialization vector", parts[2], &j.iv, ivSize},
		{"ciphertext", parts[3], &j.ciphertext, 0},
		{"tag", parts[4], &j.tag, tagSize},
	} {
		var err error
		if *p.to, err = b64.AppendDecode(nil, p.text); err != nil {
			return nil, malformed("the %s is not base64url: %v", p.name, err)
		}
		if p.size != 0 && len(*p.to) != p.size {
			return nil, malformed("the %s has %d bytes, want %d", p.name, len(*p.to), p.size)
		}
	}
	return j, nil
}

// seal encrypts text with a 32-byte key under a header and returns the compact serialization.
func seal(h *header, key, text []byte) ([]byte, error) {
	protected, err := json.Marshal(h)
	if err != nil {
		return nil, err
	}
	gcm, err := newGCM(key)
	if err != nil {
		return nil, err
	}
	iv := make([]byte, ivSize)
	rand.Read(iv)
	out := b64.AppendEncode(nil, protected)
	sealed := gcm.Seal(nil, iv, text, out)
	cut := len(sealed) - tagSize
	out = append(out, '.')
	for _, part := range [][]byte{iv, sealed[:cut], sealed[cut:]} {
		out = b64.AppendEncode(append(out, '.'), part)
	}
	return out, nil
}

// open decrypts the text. The caller wipes it.
func (j *jwe) open(key []byte) ([]byte, error) {
	gcm, err := newGCM(key)
	if err != nil {
		return nil, err
	}
	text, err := gcm.Open(nil, j.iv, append(bytes.Clone(j.ciphertext), j.tag...), j.protected)
	if err != nil {
		return nil, malformed("the ciphertext does not decrypt with the key of the policy")
	}
	return text, nil
}

func newGCM(key []byte) (cipher.AEAD, error) {
	if len(key) != keySize {
		return nil, malformed("the key has %d bytes, want %d", len(key), keySize)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}

// agreedKey returns the key that ECDH-ES derives from a shared secret z: RFC 7518, section 4.6.2, with one round of
// the hash. The caller wipes it.
func (h *header) agreedKey(z []byte) ([]byte, error) {
	var parties [2][]byte
	for i, text := range []string{h.APU, h.APV} {
		var err error
		if parties[i], err = b64.DecodeString(text); err != nil {
			return nil, malformed("apu or apv is not base64url: %v", err)
		}
	}
	var in []byte
	defer func() { clear(in) }()
	in = append(make([]byte, 0, 4+len(z)+4+len(encA256GCM)+8+len(parties[0])+len(parties[1])+4), 0, 0, 0, 1)
	in = append(in, z...)
	for _, p := range [][]byte{[]byte(encA256GCM), parties[0], parties[1]} {
		in = append(binary.BigEndian.AppendUint32(in, uint32(len(p))), p...)
	}
	in = binary.BigEndian.AppendUint32(in, 8*keySize)
	sum := sha256.Sum256(in)
	defer clear(sum[:])
	return bytes.Clone(sum[:]), nil
}
