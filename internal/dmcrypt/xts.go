package dmcrypt

import (
	"crypto/cipher"
	"encoding/binary"

	"github.com/luksimg/luksimg/xts"
)

// aesXTS is AES-XTS with an IV that is not a plain sector number.
type aesXTS struct{ c *xts.Cipher }

func (m aesXTS) encrypt(dst, src []byte, s *scratch) {
	m.c.EncryptUnit(dst, src, (*[blockSize]byte)(s.iv[:]))
}

func (m aesXTS) decrypt(dst, src []byte, s *scratch) {
	m.c.DecryptUnit(dst, src, (*[blockSize]byte)(s.iv[:]))
}

func (m aesXTS) close() { m.c.Close() }

// genericXTS is XTS (IEEE Std 1619) with any block cipher. Sectors are whole blocks, so it needs no
// ciphertext stealing.
type genericXTS struct{ data, tweak cipher.Block }

func (m genericXTS) encrypt(dst, src []byte, s *scratch) {
	t := m.firstTweak(s)
	for i := 0; i < len(src); i += blockSize {
		b := dst[i : i+blockSize]
		t.xor(b, src[i:i+blockSize])
		m.data.Encrypt(b, b)
		t.xor(b, b)
		t.double()
	}
}

func (m genericXTS) decrypt(dst, src []byte, s *scratch) {
	t := m.firstTweak(s)
	for i := 0; i < len(src); i += blockSize {
		b := dst[i : i+blockSize]
		t.xor(b, src[i:i+blockSize])
		m.data.Decrypt(b, b)
		t.xor(b, b)
		t.double()
	}
}

func (genericXTS) close() {}

func (m genericXTS) firstTweak(s *scratch) tweak {
	iv := s.iv[:blockSize]
	m.tweak.Encrypt(iv, iv)
	t := tweak{binary.LittleEndian.Uint64(iv), binary.LittleEndian.Uint64(iv[8:])}
	clear(iv)
	return t
}

// A tweak is an element of GF(2^128), its low half first.
type tweak struct{ lo, hi uint64 }

func (t *tweak) xor(dst, src []byte) {
	binary.LittleEndian.PutUint64(dst, binary.LittleEndian.Uint64(src)^t.lo)
	binary.LittleEndian.PutUint64(dst[8:], binary.LittleEndian.Uint64(src[8:])^t.hi)
}

// double multiplies t by x modulo x^128 + x^7 + x^2 + x + 1, without a branch.
func (t *tweak) double() {
	carry := t.hi >> 63
	t.hi = t.hi<<1 | t.lo>>63
	t.lo = t.lo<<1 ^ 0x87*carry
}
