package luks

import (
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha3"
	"crypto/sha512"
	"hash"
)

// hashes are those of the standard library, by the names that cryptsetup gives
// them in a header, lower case only.
var hashes = map[string]func() hash.Hash{
	"sha1":     sha1.New,
	"sha224":   sha256.New224,
	"sha256":   sha256.New,
	"sha384":   sha512.New384,
	"sha512":   sha512.New,
	"sha3-224": func() hash.Hash { return sha3.New224() },
	"sha3-256": func() hash.Hash { return sha3.New256() },
	"sha3-384": func() hash.Hash { return sha3.New384() },
	"sha3-512": func() hash.Hash { return sha3.New512() },
}

func hashByName(name string) (func() hash.Hash, error) {
	if h, ok := hashes[name]; ok {
		return h, nil
	}
	return nil, unsupported("hash %q", name)
}
