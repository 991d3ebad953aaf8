package ciphers

import (
	"hash"

	"golang.org/x/crypto/blake2b"
	"golang.org/x/crypto/blake2s"
	"golang.org/x/crypto/ripemd160"

	"github.com/luksimg/luksimg/internal/dmcrypt"
	"github.com/luksimg/luksimg/luks/ciphers/internal/whirlpool"
)

// The names differ between the crypto libraries of cryptsetup and the kernel, whose names ESSIV uses.
func init() {
	for _, name := range []string{"ripemd160", "rmd160", "ripemd"} {
		dmcrypt.RegisterHash(name, ripemd160.New)
	}
	for _, name := range []string{"whirlpool", "wp512"} {
		dmcrypt.RegisterHash(name, whirlpool.New)
	}
	for _, name := range []string{"blake2s-256", "blake2s256"} {
		dmcrypt.RegisterHash(name, newBLAKE2s)
	}
	dmcrypt.RegisterHash("blake2b512", newBLAKE2b(64))
	dmcrypt.RegisterHash("blake2b-512", newBLAKE2b(64))
	dmcrypt.RegisterHash("blake2b-384", newBLAKE2b(48))
	dmcrypt.RegisterHash("blake2b-256", newBLAKE2b(32))
	dmcrypt.RegisterHash("blake2b-160", newBLAKE2b(20))
}

// newBLAKE2b returns the constructor of BLAKE2b with a digest of size bytes. That is not a truncated
// longer digest.
func newBLAKE2b(size int) func() hash.Hash {
	return func() hash.Hash {
		h, err := blake2b.New(size, nil)
		if err != nil {
			panic(err) // unreachable: the size is valid and there is no key
		}
		return h
	}
}

func newBLAKE2s() hash.Hash {
	h, err := blake2s.New256(nil)
	if err != nil {
		panic(err)
	}
	return h
}
