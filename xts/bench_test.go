package xts

import (
	"crypto/aes"
	"fmt"
	"testing"

	xcrypto "golang.org/x/crypto/xts"
)

// BenchmarkSectors measures every implementation, and golang.org/x/crypto/xts for comparison, on a
// buffer that stays in the cache.
func BenchmarkSectors(b *testing.B) {
	const bufSize = 64 << 10
	for _, op := range []string{"enc", "dec"} {
		for _, keyBits := range []int{256, 512} {
			for _, sectorSize := range []int{512, 4096} {
				name := fmt.Sprintf("op=%s/key=%d/sector=%d/buf=%dKiB", op, keyBits, sectorSize, bufSize>>10)
				key := randomBytes(b, keyBits/8)
				buf := randomBytes(b, bufSize)
				for _, impl := range implementations {
					c, err := newCipher(impl, key, Options{SectorSize: sectorSize})
					if err != nil {
						b.Fatal(err)
					}
					run := c.Encrypt
					if op == "dec" {
						run = c.Decrypt
					}
					b.Run(name+"/impl="+impl.name, func(b *testing.B) {
						b.SetBytes(bufSize)
						for b.Loop() {
							run(buf, buf, 1)
						}
					})
				}
				x, err := xcrypto.NewCipher(aes.NewCipher, key)
				if err != nil {
					b.Fatal(err)
				}
				run := x.Encrypt
				if op == "dec" {
					run = x.Decrypt
				}
				b.Run(name+"/impl=xcrypto", func(b *testing.B) {
					b.SetBytes(bufSize)
					for b.Loop() {
						n := uint64(1)
						for off := 0; off < bufSize; off += sectorSize {
							s := buf[off : off+sectorSize]
							run(s, s, n*uint64(sectorSize/512))
							n++
						}
					}
				})
			}
		}
	}
}
