package dmcrypt

import (
	"crypto/cipher"
	"crypto/subtle"
)

// blockSize is the block size of most block ciphers, and the largest one.
const blockSize = 16

// ecb encrypts each block independently.
type ecb struct{ block cipher.Block }

func (m ecb) encrypt(dst, src []byte, _ *scratch) {
	size := m.block.BlockSize()
	for i := 0; i < len(src); i += size {
		m.block.Encrypt(dst[i:i+size], src[i:i+size])
	}
}

func (m ecb) decrypt(dst, src []byte, _ *scratch) {
	size := m.block.BlockSize()
	for i := 0; i < len(src); i += size {
		m.block.Decrypt(dst[i:i+size], src[i:i+size])
	}
}

func (ecb) close() {}

// cbc is cipher block chaining (NIST SP 800-38A).
type cbc struct{ block cipher.Block }

func (m cbc) encrypt(dst, src []byte, s *scratch) {
	size := m.block.BlockSize()
	prev := s.iv[:size]
	for i := 0; i < len(src); i += size {
		b := dst[i : i+size]
		subtle.XORBytes(b, src[i:i+size], prev)
		m.block.Encrypt(b, b)
		prev = b
	}
}

// decrypt starts at the end. So the ciphertext of the preceding block is still there when it works in
// place.
func (m cbc) decrypt(dst, src []byte, s *scratch) {
	size := m.block.BlockSize()
	for i := len(src) - size; i >= 0; i -= size {
		prev := s.iv[:size]
		if i > 0 {
			prev = src[i-size : i]
		}
		b := dst[i : i+size]
		m.block.Decrypt(b, src[i:i+size])
		subtle.XORBytes(b, b, prev)
	}
}

func (cbc) close() {}

// ctr is counter mode: the IV is a big-endian number that counts blocks.
type ctr struct{ block cipher.Block }

func (m ctr) encrypt(dst, src []byte, s *scratch) {
	size := m.block.BlockSize()
	counter, stream := s.iv[:size], s.block[:size]
	for i := 0; i < len(src); i += size {
		m.block.Encrypt(stream, counter)
		subtle.XORBytes(dst[i:i+size], src[i:i+size], stream)
		for j := size - 1; j >= 0; j-- {
			if counter[j]++; counter[j] != 0 {
				break
			}
		}
	}
}

func (m ctr) decrypt(dst, src []byte, s *scratch) { m.encrypt(dst, src, s) }

func (ctr) close() {}

// adiantum encrypts the sector as one block, with the IV as tweak.
type adiantum struct{ t Tweakable }

func (m adiantum) encrypt(dst, src []byte, s *scratch) { m.t.Encrypt(dst, src, s.iv[:]) }

func (m adiantum) decrypt(dst, src []byte, s *scratch) { m.t.Decrypt(dst, src, s.iv[:]) }

func (m adiantum) close() { m.t.Close() }
