package luks

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"slices"
)

// RecoveryToken is the type of the token that marks a key slot for a recovery key, as
// systemd-cryptenroll writes it. Such a key slot opens with the key as [NewRecoveryKey] returns it. It
// also opens with the forms that people type: without dashes, in capitals, or with spaces and newlines.
const RecoveryToken = "systemd-recovery"

// A recovery key is 256 bits as 8 groups of 8 characters. The characters are on the same keys of most
// keyboards; see systemd, src/shared/recovery-key.h.
const (
	modhex        = "cbdefghijklnrtuv"
	recoveryBytes = 32
	recoveryGroup = 8                                // characters
	recoveryText  = 2 * recoveryBytes                // characters without dashes
	recoverySize  = recoveryText*9/recoveryGroup - 1 // with dashes
)

// NewRecoveryKey returns a new recovery key: 256 random bits as text of 71 characters. The caller wipes
// it. Its key slot needs [KeyOptions] with GeneratedKey and a token of type [RecoveryToken].
func NewRecoveryKey() ([]byte, error) { return newRecoveryKey(rand.Reader) }

func newRecoveryKey(r io.Reader) ([]byte, error) {
	var b [recoveryBytes]byte
	defer clear(b[:])
	if _, err := io.ReadFull(r, b[:]); err != nil {
		return nil, fmt.Errorf("luks: reading random bytes: %w", err)
	}
	key := make([]byte, 0, recoverySize)
	for i, c := range b {
		if i > 0 && i%(recoveryGroup/2) == 0 {
			key = append(key, '-')
		}
		key = append(key, modhex[c>>4], modhex[c&15])
	}
	return key, nil
}

// maxTyped bounds the length of a typed recovery key with white space, in bytes.
const maxTyped = 4 * recoverySize

// IsRecoveryKey reports whether typed is a recovery key, as [NewRecoveryKey] returns it or in a form
// that people type.
func IsRecoveryKey(typed []byte) bool {
	key := normalRecoveryKey(typed)
	clear(key)
	return key != nil
}

// normalRecoveryKey returns the standard form of a typed recovery key, or nil if typed is not a recovery
// key. The caller wipes it. White space is ignored. Dashes separate either all groups or none.
func normalRecoveryKey(typed []byte) []byte {
	if len(typed) > maxTyped {
		return nil
	}
	key, dashes := make([]byte, 0, recoverySize), 0
	refuse := func() []byte {
		clear(key)
		return nil
	}
	dashed := false // the last character was a dash
	for _, c := range typed {
		digit := modhexDigit(c)
		between := len(key)%(recoveryGroup+1) == recoveryGroup && len(key) < recoverySize
		switch {
		case c == ' ', c == '\t', c == '\r', c == '\n':
			continue
		case c == '-' && between && !dashed:
			dashes, dashed = dashes+1, true
			continue
		case digit < 0, len(key) == recoverySize:
			return refuse()
		}
		if between {
			key = append(key, '-')
		}
		key, dashed = append(key, modhex[digit]), false
	}
	if len(key) != recoverySize || dashes != 0 && dashes != recoveryText/recoveryGroup-1 {
		return refuse()
	}
	return key
}

// modhexDigit returns the value of a character, or -1.
func modhexDigit(c byte) int {
	for i := range len(modhex) {
		if c == modhex[i] || c == modhex[i]-'a'+'A' {
			return i
		}
	}
	return -1
}

// hasRecoveryKey reports whether a key slot has a token of type [RecoveryToken].
func (h *Header) hasRecoveryKey(slot int) bool {
	return slices.ContainsFunc(h.Tokens(), func(t Token) bool {
		return t.Type == RecoveryToken && slices.Contains(t.Keyslots, slot)
	})
}

// openTyped is like openSlot but accepts all typed forms of a recovery key.
func (h *Header) openTyped(ctx context.Context, s keyslot, passphrase []byte, left *budget) ([]byte, error) {
	normal := normalRecoveryKey(passphrase)
	defer clear(normal)
	if normal != nil && !bytes.Equal(normal, passphrase) && h.hasRecoveryKey(s.id) {
		if key, err := h.openSlot(ctx, s, normal, left); key != nil || err != nil {
			return key, err
		}
	}
	return h.openSlot(ctx, s, passphrase, left)
}

// typedFor returns a copy of the passphrase for a key slot: the standard form if it is a recovery key
// for such a slot. The caller wipes it.
func (h *Header) typedFor(slot int, passphrase []byte) []byte {
	if normal := normalRecoveryKey(passphrase); normal != nil {
		if h.hasRecoveryKey(slot) {
			return normal
		}
		clear(normal)
	}
	return bytes.Clone(passphrase)
}
