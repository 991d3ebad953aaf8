package contender

import (
	"crypto/aes"
	"crypto/cipher"
	"encoding/binary"

	"golang.org/x/crypto/xts"
)

// xCrypto is golang.org/x/crypto/xts, with one call per sector.
var xCrypto = Contender{
	Name: "x/crypto",
	New: func(op string, key []byte, sectorSize int) (Crypt, error) {
		c, err := xts.NewCipher(aes.NewCipher, key)
		if err != nil {
			return nil, err
		}
		sector := c.Encrypt
		if op == "dec" {
			sector = c.Decrypt
		}
		return func(dst, src []byte, first uint64) {
			for ; len(src) > 0; first++ {
				sector(dst[:sectorSize], src[:sectorSize], first)
				dst, src = dst[sectorSize:], src[sectorSize:]
			}
		}, nil
	},
}

// cryptoAES is the straightforward use of crypto/aes: one call per block, and masks in 64-bit
// arithmetic.
var cryptoAES = Contender{
	Name: "crypto/aes",
	New: func(op string, key []byte, sectorSize int) (Crypt, error) {
		data, err := aes.NewCipher(key[:len(key)/2])
		if err != nil {
			return nil, err
		}
		tweak, err := aes.NewCipher(key[len(key)/2:])
		if err != nil {
			return nil, err
		}
		block := cipher.Block.Encrypt
		if op == "dec" {
			block = cipher.Block.Decrypt
		}
		iv := make([]byte, 16)
		return func(dst, src []byte, first uint64) {
			for ; len(src) > 0; first++ {
				binary.LittleEndian.PutUint64(iv, first)
				binary.LittleEndian.PutUint64(iv[8:], 0)
				tweak.Encrypt(iv, iv)
				lo, hi := binary.LittleEndian.Uint64(iv), binary.LittleEndian.Uint64(iv[8:])
				for i := 0; i < sectorSize; i += 16 {
					d, s := dst[i:i+16], src[i:i+16]
					binary.LittleEndian.PutUint64(d, binary.LittleEndian.Uint64(s)^lo)
					binary.LittleEndian.PutUint64(d[8:], binary.LittleEndian.Uint64(s[8:])^hi)
					block(data, d, d)
					binary.LittleEndian.PutUint64(d, binary.LittleEndian.Uint64(d)^lo)
					binary.LittleEndian.PutUint64(d[8:], binary.LittleEndian.Uint64(d[8:])^hi)
					carry := uint64(int64(hi) >> 63)
					lo, hi = lo<<1^carry&0x87, hi<<1|lo>>63
				}
				dst, src = dst[sectorSize:], src[sectorSize:]
			}
		}, nil
	},
}
