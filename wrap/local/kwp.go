package local

import (
	"crypto/cipher"
	"crypto/subtle"
	"encoding/binary"
	"errors"
)

// AES key wrap with padding: RFC 5649, which NIST SP 800-38F calls KWP.

const (
	kwpICV  = 0xa65959a6 // RFC 5649 section 3: the constant before the 32-bit length
	kwpUnit = 8
	// maxPlain is the longest plaintext in bytes, far below the RFC's limit of 2^32.
	maxPlain = 64 << 10
)

var errIntegrity = errors.New("integrity check failed")

// kwpWrap wraps plain, of 1 to maxPlain bytes, with the key of block. The result has the length of plain, rounded up
// to 8 bytes, plus 8.
func kwpWrap(block cipher.Block, plain []byte) ([]byte, error) {
	if len(plain) == 0 || len(plain) > maxPlain {
		return nil, errors.New("the plaintext must have from 1 to 65536 bytes")
	}
	n := (len(plain) + kwpUnit - 1) / kwpUnit
	out := make([]byte, kwpUnit*(n+1))
	binary.BigEndian.PutUint32(out, kwpICV)
	binary.BigEndian.PutUint32(out[4:], uint32(len(plain)))
	copy(out[kwpUnit:], plain)
	if n == 1 { // section 4.1: one block, no rounds
		block.Encrypt(out, out)
		return out, nil
	}
	// RFC 3394 section 2.2.1, the index-based form.
	var b [16]byte
	copy(b[:8], out)
	for j := range 6 {
		for i := 1; i <= n; i++ {
			copy(b[8:], out[kwpUnit*i:])
			block.Encrypt(b[:], b[:])
			copy(out[kwpUnit*i:kwpUnit*(i+1)], b[8:])
			t := uint64(n*j + i)
			binary.BigEndian.PutUint64(b[:8], binary.BigEndian.Uint64(b[:8])^t)
		}
	}
	copy(out, b[:8])
	clear(b[:])
	return out, nil
}

// kwpUnwrap reverses kwpWrap. It makes all checks of RFC 5649 section 3, whether or not one fails, in time that does
// not depend on which one fails.
func kwpUnwrap(block cipher.Block, wrapped []byte) ([]byte, error) {
	if len(wrapped) < 2*kwpUnit || len(wrapped)%kwpUnit != 0 || len(wrapped) > maxPlain+kwpUnit {
		return nil, errIntegrity
	}
	n := len(wrapped)/kwpUnit - 1
	out := make([]byte, len(wrapped))
	if n == 1 {
		block.Decrypt(out, wrapped)
	} else {
		copy(out, wrapped)
		var b [16]byte
		copy(b[:8], wrapped)
		for j := 5; j >= 0; j-- {
			for i := n; i >= 1; i-- {
				t := uint64(n*j + i)
				binary.BigEndian.PutUint64(b[:8], binary.BigEndian.Uint64(b[:8])^t)
				copy(b[8:], out[kwpUnit*i:])
				block.Decrypt(b[:], b[:])
				copy(out[kwpUnit*i:kwpUnit*(i+1)], b[8:])
			}
		}
		copy(out, b[:8])
		clear(b[:])
	}

	var icv [4]byte
	binary.BigEndian.PutUint32(icv[:], kwpICV)
	ok := subtle.ConstantTimeCompare(icv[:], out[:4])
	// Check 8(n-1) < length <= 8n by the borrow of a 64-bit subtraction, which cannot overflow for 33-bit numbers.
	length := uint64(binary.BigEndian.Uint32(out[4:]))
	low, high := uint64(kwpUnit*(n-1)), uint64(kwpUnit*n)
	ok &= int((low - length) >> 63)  // 1 if length > low
	ok &= 1 ^ int((high-length)>>63) // 1 if length <= high
	var padding byte                 // the bytes from length on must be zero
	for i := kwpUnit * (n - 1); i < kwpUnit*n; i++ {
		past := byte(1 ^ (uint64(i)-length)>>63) // 1 if i >= length
		padding |= out[kwpUnit+i] & -past
	}
	ok &= subtle.ConstantTimeByteEq(padding, 0)
	if ok != 1 {
		clear(out)
		return nil, errIntegrity
	}
	return out[kwpUnit : kwpUnit+int(length)], nil
}
