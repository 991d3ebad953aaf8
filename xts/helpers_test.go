package xts

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"math/big"
	"testing"

	xcrypto "golang.org/x/crypto/xts"
)

// forEachImplementation runs f with every implementation that this machine supports.
func forEachImplementation(t *testing.T, f func(t *testing.T, impl implementation)) {
	for _, impl := range implementations {
		t.Run("impl="+impl.name, func(t *testing.T) { f(t, impl) })
	}
}

func mustNew(tb testing.TB, impl implementation, key []byte, opts Options) *Cipher {
	tb.Helper()
	c, err := newCipher(impl, key, opts)
	if err != nil {
		tb.Fatal(err)
	}
	return c
}

// allOptions returns every combination of options.
func allOptions() []Options {
	var all []Options
	for _, size := range []int{0, 512, 1024, 2048, 4096} {
		for _, large := range []bool{false, true} {
			for _, plain32 := range []bool{false, true} {
				all = append(all, Options{SectorSize: size, LargeIV: large, Plain32: plain32})
			}
		}
	}
	return all
}

// A direction is encryption or decryption, in this package and in the reference.
type direction struct {
	name    string
	sectors func(c *Cipher, dst, src []byte, sector uint64)
	unit    func(c *Cipher, dst, src []byte, tweak *[16]byte)
	ref     func(c *xcrypto.Cipher, dst, src []byte, sector uint64)
}

var directions = []direction{
	{"enc", (*Cipher).Encrypt, (*Cipher).EncryptUnit, (*xcrypto.Cipher).Encrypt},
	{"dec", (*Cipher).Decrypt, (*Cipher).DecryptUnit, (*xcrypto.Cipher).Decrypt},
}

// refSectors returns the output of golang.org/x/crypto/xts for src, one sector per call. It computes
// tweaks independently of the package, from byte offsets with big integers.
func refSectors(tb testing.TB, d direction, key []byte, opts Options, src []byte, sector uint64) []byte {
	tb.Helper()
	c, err := xcrypto.NewCipher(aes.NewCipher, key)
	if err != nil {
		tb.Fatal(err)
	}
	size := opts.SectorSize
	if size == 0 {
		size = 512
	}
	ivUnit, bits := 512, uint(64)
	if opts.LargeIV {
		ivUnit = size
	}
	if opts.Plain32 {
		bits = 32
	}
	dst := make([]byte, len(src))
	offset := new(big.Int).SetUint64(sector)
	offset.Mul(offset, big.NewInt(int64(size)))
	modulus := new(big.Int).Lsh(big.NewInt(1), bits)
	for i := 0; i < len(src); i += size {
		iv := new(big.Int).Div(offset, big.NewInt(int64(ivUnit)))
		d.ref(c, dst[i:i+size], src[i:i+size], iv.Mod(iv, modulus).Uint64())
		offset.Add(offset, big.NewInt(int64(size)))
	}
	return dst
}

// refUnit returns the output of golang.org/x/crypto/xts for src with a tweak of 128 bits. Its API has
// 64-bit tweaks only, so refUnit passes a tweak cipher that always encrypts the given tweak.
func refUnit(tb testing.TB, d direction, key, src []byte, tweak *[16]byte) []byte {
	tb.Helper()
	made := 0
	c, err := xcrypto.NewCipher(func(half []byte) (cipher.Block, error) {
		b, err := aes.NewCipher(half)
		if made++; made == 2 {
			return fixedInput{b, tweak}, err
		}
		return b, err
	}, key)
	if err != nil {
		tb.Fatal(err)
	}
	dst := make([]byte, len(src))
	d.ref(c, dst, src, 0)
	return dst
}

type fixedInput struct {
	cipher.Block
	input *[16]byte
}

func (f fixedInput) Encrypt(dst, _ []byte) { f.Block.Encrypt(dst, f.input[:]) }

func randomBytes(tb testing.TB, n int) []byte {
	tb.Helper()
	b := make([]byte, n)
	if _, err := rand.Read(b); err != nil {
		tb.Fatal(err)
	}
	return b
}
