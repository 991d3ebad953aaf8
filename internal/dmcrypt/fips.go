package dmcrypt

import (
	"crypto/fips140"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// ErrNotApproved means that FIPS 140-3 does not approve a cipher or a hash.
var ErrNotApproved = errors.New("not approved by FIPS 140-3")

// approvedHashes are the hashes of FIPS 180-4 and FIPS 202, without SHA-1: SP 800-131A retires it, and
// Go's strict mode refuses it.
var approvedHashes = []string{
	"sha224", "sha256", "sha384", "sha512", "sha512-224", "sha512-256", "sha3-224", "sha3-256", "sha3-384", "sha3-512",
}

// ApprovedHash returns [ErrNotApproved] unless the hash is approved.
func ApprovedHash(name string) error {
	if slices.Contains(approvedHashes, strings.ToLower(name)) {
		return nil
	}
	return fmt.Errorf("dmcrypt: hash %.40q: %w", name, ErrNotApproved)
}

// Approved returns [ErrNotApproved] unless the cipher is approved with a key of size bytes. Approved
// are AES-128 and AES-256 in XTS mode by sector number (SP 800-38E), and AES in CBC mode with ESSIV,
// whose IVs are unpredictable (SP 800-38A). With size 0 the key is not checked.
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

// enforce refuses an unapproved cipher with a key of size bytes in Go's strict mode, fips140=only.
func (s *spec) enforce(size int) error {
	if !fips140.Enforced() || s.cipher == nullCipher {
		return nil
	}
	return Approved(s.text, size)
}
