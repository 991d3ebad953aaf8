package ciphers_test

import (
	"testing"

	"github.com/luksimg/luksimg/internal/dmcrypt"
)

func BenchmarkEncrypt(b *testing.B) { benchmark(b, dmcrypt.SectorCipher.Encrypt) }

func BenchmarkDecrypt(b *testing.B) { benchmark(b, dmcrypt.SectorCipher.Decrypt) }

func benchmark(b *testing.B, crypt func(c dmcrypt.SectorCipher, dst, src []byte, sector uint64)) {
	for _, spec := range []string{
		"aes-xts-plain64", "aes-xts-essiv:sha256", "aes-cbc-essiv:sha256", "aes-ctr-plain64", "aes-ecb",
		"serpent-xts-plain64", "twofish-xts-plain64", "camellia-xts-plain64",
		"xchacha12,aes-adiantum-plain64", "xchacha20,aes-adiantum-plain64",
	} {
		b.Run(spec, func(b *testing.B) {
			sizes, err := dmcrypt.KeySizes(spec)
			if err != nil {
				b.Fatal(err)
			}
			c, err := dmcrypt.New(spec, make([]byte, sizes[len(sizes)-1]), dmcrypt.Options{SectorSize: 4096})
			if err != nil {
				b.Fatal(err)
			}
			defer c.Close()
			p := make([]byte, 64<<10)
			b.SetBytes(int64(len(p)))
			b.ReportAllocs()
			for b.Loop() {
				crypt(c, p, p, 0)
			}
		})
	}
}
