package wrap

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/luksimg/luksimg/internal/advice"
	"github.com/luksimg/luksimg/internal/pbkdf2"
)

// ErrBinding means that the binding of an envelope does not match its fields: the wrapped key belongs to another
// image, or a field was changed.
var ErrBinding = advice.New("the binding of the wrapped key does not match",
	"somebody changed it: find out who, and do not trust the image; with the key of the image, luksimg wrap re-creates it")

const (
	bindingDomain  = "luksimg key envelope v2"
	bindingSalt    = 16 // bytes
	bindingStretch = 500_000
	maxStretch     = 4_000_000
)

// A binding authenticates the fields of an envelope: a MAC whose key is derived from the wrapped key. Only somebody
// who has that key can make one.
type binding struct {
	salt       []byte
	iterations int // PBKDF2 iterations before HKDF, for a key that could be guessed; 0 for none
	mac        []byte
}

// Bound reports whether the envelope has version 2. [Open] detects changes to such an envelope. It cannot detect a
// version 1 envelope that was changed or exchanged.
func (e *Envelope) Bound() bool { return e.binding != nil }

// Bind computes the binding of e from its fields and disk, the key that opens the disk. Call it after a change, for
// example when the key was wrapped again. Bind trusts the fields: [Open] an envelope from elsewhere first.
func (e *Envelope) Bind(disk []byte) error {
	if err := e.check(); err != nil {
		return err
	}
	if e.KeyFingerprint != "" && !SameKey(disk, e.KeyFingerprint) {
		return fmt.Errorf("%w: the key does not match key_fingerprint", ErrBinding)
	}
	b := &binding{salt: make([]byte, bindingSalt)}
	rand.Read(b.salt) // never fails: see crypto/rand
	if !generated(e.Convention, disk) {
		b.iterations = bindingStretch
	}
	var err error
	if b.mac, err = e.mac(b, disk); err != nil {
		return err
	}
	e.binding = b
	return nil
}

func (e *Envelope) checkBinding(disk []byte) error {
	mac, err := e.mac(e.binding, disk)
	if err != nil {
		return err
	}
	if !hmac.Equal(mac, e.binding.mac) {
		return fmt.Errorf("%w: a field was changed, or comes from another image", ErrBinding)
	}
	return nil
}

// mac returns HMAC-SHA-256 over all fields that identify the key and its image. The length of each field precedes it,
// so that no two envelopes give the same text.
func (e *Envelope) mac(b *binding, disk []byte) ([]byte, error) {
	secret := disk
	if b.iterations > 0 {
		var err error
		if secret, err = pbkdf2.Key(context.Background(), sha512.New, disk, b.salt, uint64(b.iterations), sha512.Size); err != nil {
			return nil, err
		}
		defer clear(secret)
	}
	// HKDF with SHA-256 (RFC 5869): extract, then expand to one block. The standard library's HKDF leaves the secret
	// in the buffer of a hash.
	extracted := pbkdf2.MAC(sha256.New, b.salt, secret)
	defer clear(extracted)
	key := pbkdf2.MAC(sha256.New, extracted, []byte(bindingDomain), []byte{1})
	defer clear(key)
	convention, err := ParseConvention(string(e.Convention))
	if err != nil {
		return nil, err
	}
	h := hmac.New(sha256.New, key)
	for _, field := range []string{string(convention), e.WDEK, e.RootKeyCRN, e.KMS, strings.ToLower(e.ImageUUID), e.KeyFingerprint} {
		var n [4]byte
		binary.BigEndian.PutUint32(n[:], uint32(len(field)))
		h.Write(n[:])
		h.Write([]byte(field))
	}
	return h.Sum(nil), nil
}

// generated reports whether disk looks like a generated key: at least 32 bytes that are not text, or base64 text of
// at least 32 bytes. For any other key, a fast MAC would let an attacker test guesses without the slow key derivation
// of the image's key slots.
func generated(c Convention, disk []byte) bool {
	if r, _ := c.rule(); r.generated && !r.text {
		return true
	}
	decoded, err := decode(disk)
	defer clear(decoded)
	return err == nil && len(decoded) >= fingerprintMinKey || len(disk) >= fingerprintMinKey && !utf8.Valid(disk)
}

// parseBinding reads the fields of a binding.
func parseBinding(mac, salt string, iterations int) (*binding, error) {
	b := &binding{iterations: iterations}
	var err error
	if b.mac, err = hex.DecodeString(mac); err != nil || len(b.mac) != sha256.Size || hex.EncodeToString(b.mac) != mac {
		return nil, bad("binding is not %d hexadecimal digits", 2*sha256.Size)
	}
	if b.salt, err = hex.DecodeString(salt); err != nil || len(b.salt) != bindingSalt || hex.EncodeToString(b.salt) != salt {
		return nil, bad("binding_salt is not %d hexadecimal digits", 2*bindingSalt)
	}
	if iterations < 0 || iterations > maxStretch {
		return nil, bad("binding_iterations is %d, want at most %d", iterations, maxStretch)
	}
	return b, nil
}
