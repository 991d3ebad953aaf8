package dmcrypt

import (
	"crypto/fips140"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha3"
	"crypto/sha512"
	"fmt"
	"hash"
	"slices"
	"strings"
)

// builtinHashes returns the hashes of the standard library by their names in cryptsetup and the kernel.
func builtinHashes() map[string]func() hash.Hash {
	return map[string]func() hash.Hash{
		"sha1":       sha1.New,
		"sha224":     sha256.New224,
		"sha256":     sha256.New,
		"sha384":     sha512.New384,
		"sha512":     sha512.New,
		"sha512-224": sha512.New512_224,
		"sha512-256": sha512.New512_256,
		"sha3-224":   func() hash.Hash { return sha3.New224() },
		"sha3-256":   func() hash.Hash { return sha3.New256() },
		"sha3-384":   func() hash.Hash { return sha3.New384() },
		"sha3-512":   func() hash.Hash { return sha3.New512() },
	}
}

// Hash returns the hash with a name from a header. Case is ignored, because cryptsetup writes the name
// to a LUKS2 header as the user typed it.
//
// Errors are [ErrUnknownHash] and [ErrNotRegistered], and [ErrNotApproved] in Go's mode fips140=only.
func Hash(name string) (func() hash.Hash, error) {
	h, err := hashByName(strings.ToLower(name[:min(len(name), maxSpec)]))
	if err != nil {
		return nil, fmt.Errorf("dmcrypt: %w", err)
	}
	if fips140.Enforced() { // the hash would panic
		if err := ApprovedHash(name); err != nil {
			return nil, err
		}
	}
	return h, nil
}

func hashByName(name string) (func() hash.Hash, error) {
	if h, ok := lookup(registry.hashes, name); ok {
		return h, nil
	}
	if slices.Contains(optionalHashes, name) {
		return nil, notRegistered("hash " + name)
	}
	return nil, fmt.Errorf("%w %q", ErrUnknownHash, name)
}

// essivHash returns the hash for the ESSIV key. It is a kernel hash, whose name is case-sensitive. It
// can be MD5, which is not allowed elsewhere in a header.
func essivHash(name string) (func() hash.Hash, error) {
	if name == "md5" {
		return md5.New, nil
	}
	return hashByName(name)
}
