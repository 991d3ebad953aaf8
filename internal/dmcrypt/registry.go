package dmcrypt

import (
	"crypto/aes"
	"crypto/cipher"
	"hash"
	"slices"
	"sync"
)

// A blockCipher is a registered block cipher.
type blockCipher struct {
	new      func(key []byte) (cipher.Block, error)
	size     int   // block size in bytes: 16 or 8
	keySizes []int // ascending
}

// Tweakable is a cipher that encrypts a whole sector as one block, with a tweak. Except for Close, its
// methods are safe for concurrent use.
type Tweakable interface {
	// Encrypt encrypts src into dst, which have equal lengths. They are the same memory or do not
	// overlap.
	Encrypt(dst, src, tweak []byte)
	// Decrypt is the inverse of Encrypt.
	Decrypt(dst, src, tweak []byte)
	// Close wipes the key.
	Close()
}

// registry has all names in specifications and headers, except for modes and IV generators.
var registry = struct {
	sync.RWMutex
	blocks   map[string]blockCipher
	adiantum map[string]func(key []byte) (Tweakable, error)
	hashes   map[string]func() hash.Hash
}{
	blocks:   map[string]blockCipher{"aes": {aes.NewCipher, aes.BlockSize, []int{16, 24, 32}}},
	adiantum: map[string]func(key []byte) (Tweakable, error){},
	hashes:   builtinHashes(),
}

// The names that package luks/ciphers registers.
var (
	optionalBlocks   = []string{"camellia", "cast5", "serpent", "twofish"}
	optionalAdiantum = []string{"xchacha12,aes", "xchacha20,aes"}
	optionalHashes   = []string{
		"blake2b-160", "blake2b-256", "blake2b-384", "blake2b-512", "blake2b512",
		"blake2s-256", "blake2s256",
		"ripemd", "ripemd160", "rmd160",
		"whirlpool", "wp512",
	}
)

// RegisterBlock registers a block cipher with 16-byte blocks under the kernel's name. keySizes are its
// key sizes in bytes. It panics if the name is registered already.
func RegisterBlock(name string, newBlock func(key []byte) (cipher.Block, error), keySizes ...int) {
	slices.Sort(keySizes)
	register(registry.blocks, name, blockCipher{newBlock, blockSize, keySizes})
}

// RegisterShortBlock is like [RegisterBlock] for a cipher with 8-byte blocks, which XTS does not
// support.
func RegisterShortBlock(name string, newBlock func(key []byte) (cipher.Block, error), keySizes ...int) {
	slices.Sort(keySizes)
	register(registry.blocks, name, blockCipher{newBlock, 8, keySizes})
}

// RegisterAdiantum registers a variant of Adiantum with keys of 32 bytes under the names of its stream
// cipher and block cipher, such as "xchacha12,aes". It panics if the name is registered already.
func RegisterAdiantum(name string, newCipher func(key []byte) (Tweakable, error)) {
	register(registry.adiantum, name, newCipher)
}

// RegisterHash registers a hash under a name of cryptsetup or the kernel in lower case. It panics if
// the name is registered already.
func RegisterHash(name string, newHash func() hash.Hash) {
	register(registry.hashes, name, newHash)
}

func register[T any](m map[string]T, name string, value T) {
	registry.Lock()
	defer registry.Unlock()
	if _, ok := m[name]; ok {
		panic("dmcrypt: " + name + " is registered twice")
	}
	m[name] = value
}

// lookup returns a registered value.
func lookup[T any](m map[string]T, name string) (T, bool) {
	registry.RLock()
	defer registry.RUnlock()
	v, ok := m[name]
	return v, ok
}
