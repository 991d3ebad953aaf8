package dmcrypt

import (
	"crypto/fips140"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// ErrNotApproved is for a cipher or a hash that FIPS 140-3 does not approve.
var ErrNotApproved = errors.New("not approved by FIPS 140-3")

// approvedHashes are those of FIPS 180-4 and FIPS 202. SHA-1 is out: SP 800-131A lets it go, and Go's
// strict mode does not run it.
var approvedHashes = []string{
	"sha224", "sha256", "sha384", "sha512", "sha512-224", "sha512-256", "sha3-224", "sha3-256", "sha3-384", "sha3-512",
}

// ApprovedHash returns an [ErrNotApproved] unless a hash is approved.
func ApprovedHash(name string) error {
	if slices.Contains(approvedHashes, strings.ToLower(name)) {
		return nil
	}
	return fmt.Errorf("dmcrypt: hash %.40q: %w", name, ErrNotApproved)
}

// Approved returns an [ErrNotApproved] unless a cipher, with a key of size bytes, is approved: AES-128 and
// AES-256 in XTS mode by the number of the sector (SP 800-38E), and AES in CBC mode with ESSIV, whose
// IVs can not be predicted (SP 800-38A). With size 0 the key is not looked at.
func Approved(spec string, size int) error {
	s, err := parse(spec)
	if err != nil {
		return err
	}
	switch {
	case s.cipher != "aes":
	case s.mode == "xts" && (s.iv == "plain" || s.iv == "plain64") && size != 2*24:
		return nil
	case s.mode == "cbc" && s.iv == "essiv" && ApprovedHash(s.ivOpts) == nil:
		return nil
	}
	return s.refuse(ErrNotApproved)
}

// enforce refuses what is not approved, with a key of size bytes, where Go's strict mode, fips140=only, is on.
func (s *spec) enforce(size int) error {
	if !fips140.Enforced() || s.cipher == nullCipher {
		return nil
	}
	return Approved(s.text, size)
}
