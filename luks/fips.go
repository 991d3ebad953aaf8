package luks

import (
	"bytes"
	"crypto/fips140"
	"fmt"

	"github.com/luksimg/luksimg/internal/dmcrypt"
)

// A notApproved is an [ErrNotApproved] with its own text.
type notApproved struct{ text string }

func (e *notApproved) Error() string { return "luks: " + e.text }

func (e *notApproved) Unwrap() error { return ErrNotApproved }

// approved returns [ErrNotApproved] unless SP 800-132 allows the key derivation function: PBKDF2 with
// an approved hash. The other conditions, 128 bits of salt and 1000 iterations, hold for every header
// that is written.
func (k KDF) approved() error {
	if k.Type != PBKDF2 {
		return &notApproved{fmt.Sprintf("%s is %v: want %s", k.Type, ErrNotApproved, PBKDF2)}
	}
	return cipherError(dmcrypt.ApprovedHash(k.Hash))
}

// approved returns [ErrNotApproved] in FIPS 140-3 mode if an option is not approved. The two halves of
// an XTS key must differ (FIPS 140-3 Implementation Guidance, C.I).
func (o *Options) approved() error {
	if !fips140.Enabled() {
		return nil
	}
	if err := dmcrypt.Approved(o.Cipher, o.KeySize); err != nil {
		return cipherError(err)
	}
	if err := dmcrypt.ApprovedHash(o.Hash); err != nil {
		return cipherError(err)
	}
	if n := len(o.VolumeKey) / 2; n > 0 && bytes.Equal(o.VolumeKey[:n], o.VolumeKey[n:]) {
		return &notApproved{fmt.Sprintf("a volume key whose halves are the same is %v", ErrNotApproved)}
	}
	return nil
}

// noteUnapproved adds a warning for each algorithm that FIPS 140-3 does not approve, in FIPS 140-3
// mode.
func (h *Header) noteUnapproved() {
	seen := make(map[string]bool)
	note := func(err error) {
		if text := problemText(err); text != "" && !seen[text] {
			seen[text] = true
			h.warn("%s", text)
		}
	}
	size := 0
	for _, s := range h.slots {
		if !s.active || s.problem != nil {
			continue
		}
		if h.digestOf(s) != nil {
			size = s.keySize
		}
		note(s.kdf.approved())
		note(cipherError(dmcrypt.ApprovedHash(s.afHash)))
		note(cipherError(dmcrypt.Approved(s.area.encryption, s.area.keySize)))
	}
	if h.segment.encryption != "" {
		note(cipherError(dmcrypt.Approved(h.segment.encryption, size)))
	}
	for _, d := range h.digests {
		if d.problem == nil {
			note(cipherError(dmcrypt.ApprovedHash(d.hash)))
		}
	}
}
