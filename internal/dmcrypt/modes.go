package dmcrypt

import (
	"crypto/cipher"
	"crypto/subtle"
)

// blockSize is that of every block cipher here.
const blockSize = 16

// ecb encrypts each block by itself.
type ecb struct{ block cipher.Block }

func (m ecb) encrypt(dst, src []byte, _ *scratch) {
	for i := 0; i < len(src); i += blockSize {
		m.block.Encrypt(dst[i:i+blockSize], src[i:i+blockSize])
	}
}

func (m ecb) decrypt(dst, src []byte, _ *scratch) {
	for i := 0; i < len(src); i += blockSize {
		m.block.Decrypt(dst[i:i+blockSize], src[i:i+blockSize])
	}
}

func (ecb) close() {}

// cbc is cipher block chaining (NIST SP 800-38A).
type cbc struct{ block cipher.Block }

func (m cbc) encrypt(dst, src []byte, s *scratch) {
	prev := s.iv[:blockSize]
	for i := 0; i < len(src); i += blockSize {
		b := dst[i : i+blockSize]
		subtle.XORBytes(b, src[i:i+blockSize], prev)
		m.block.Encrypt(b, b)
		prev = b
	}
}

// decrypt starts at the end, so that in place the ciphertext before a block is still
// there when the block needs it.
func (m cbc) decrypt(dst, src []byte, s *scratch) {
	for i := len(src) - blockSize; i >= 0; i -= blockSize {
		prev := s.iv[:blockSize]
		if i > 0 {
			prev = src[i-blockSize : i]
		}
		b := dst[i : i+blockSize]
		m.block.Decrypt(b, src[i:i+blockSize])
		subtle.XORBytes(b, b, prev)
	}
}

func (cbc) close() {}

// ctr is counter mode: the IV is a big-endian number that counts blocks.
type ctr struct{ block cipher.Block }

func (m ctr) encrypt(dst, src []byte, s *scratch) {
	counter := s.iv[:blockSize]
	for i := 0; i < len(src); i += blockSize {
		m.block.Encrypt(s.block[:], counter)
		subtle.XORBytes(dst[i:i+blockSize], src[i:i+blockSize], s.block[:])
		for j := blockSize - 1; j >= 0; j-- {
			if counter[j]++; counter[j] != 0 {
				break
			}
		}
	}
}

func (m ctr) decrypt(dst, src []byte, s *scratch) { m.encrypt(dst, src, s) }

func (ctr) close() {}

// adiantum takes the sector as one block and the IV as tweak.
type adiantum struct{ t Tweakable }

func (m adiantum) encrypt(dst, src []byte, s *scratch) { m.t.Encrypt(dst, src, s.iv[:]) }

func (m adiantum) decrypt(dst, src []byte, s *scratch) { m.t.Decrypt(dst, src, s.iv[:]) }

func (m adiantum) close() { m.t.Close() }
