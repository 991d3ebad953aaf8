// Package benchmarks measures package xts and its peers with go test. The command in cmd/ratios
// compares them in turns, which is fairer.
package benchmarks

import (
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/luksimg/luksimg/benchmarks/contender"
	"github.com/luksimg/luksimg/internal/aeslimit"
)

func BenchmarkXTS(b *testing.B) {
	for _, op := range []string{"enc", "dec"} {
		for _, keySize := range []int{32, 64} {
			for _, sectorSize := range []int{512, 4096} {
				for _, buffer := range []int{64 << 10, 16 << 20} {
					name := fmt.Sprintf("op=%s/key=%d/sector=%d/buffer=%dKiB", op, 8*keySize, sectorSize, buffer>>10)
					for _, c := range contender.All() {
						b.Run(name+"/impl="+strings.ReplaceAll(c.Name, "/", "-"), func(b *testing.B) {
							benchmark(b, c, op, keySize, sectorSize, buffer)
						})
					}
				}
			}
		}
	}
}

func benchmark(b *testing.B, c contender.Contender, op string, keySize, sectorSize, buffer int) {
	key, src, dst := make([]byte, keySize), make([]byte, buffer), make([]byte, buffer)
	rand.Read(key)
	rand.Read(src)
	crypt, err := c.New(op, key, sectorSize)
	if errors.Is(err, contender.ErrUnsupported) {
		b.Skip(err)
	}
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(buffer))
	for b.Loop() {
		crypt(dst, src, 1)
	}
}

func BenchmarkLimit(b *testing.B) {
	const size = 64 << 10
	for _, l := range aeslimit.Loops() {
		for _, bits := range []int{128, 256} {
			b.Run(fmt.Sprintf("key=%d/impl=%s", 2*bits, l.Name), func(b *testing.B) {
				b.SetBytes(size)
				for b.Loop() {
					l.Run(size, bits)
				}
			})
		}
	}
}

func BenchmarkCopy(b *testing.B) {
	for _, size := range []int{64 << 10, 512 << 20} {
		b.Run(fmt.Sprintf("buffer=%dKiB", size>>10), func(b *testing.B) {
			src, dst := make([]byte, size), make([]byte, size)
			rand.Read(src)
			b.SetBytes(int64(size))
			for b.Loop() {
				copy(dst, src)
			}
		})
	}
}
