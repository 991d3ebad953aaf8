package dmcrypt

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/luksimg/luksimg/xts"
)

// TestGenericXTS compares genericXTS with package xts, which is tested with published vectors, around
// the sector numbers where IVs wrap.
func TestGenericXTS(t *testing.T) {
	rnd := rand.NewChaCha8([32]byte{1})
	for _, keySize := range []int{32, 64} {
		for _, size := range []int{512, 1024, 2048, 4096} {
			for _, large := range []bool{false, true} {
				for _, iv := range []string{"plain", "plain64"} {
					spec := "aes-xts-" + iv
					key := make([]byte, keySize)
					rnd.Read(key)
					opts := Options{SectorSize: size, LargeIV: large}
					d, err := resolve(spec)
					if err != nil {
						t.Fatal(err)
					}
					m, err := d.newMode(key)
					if err != nil {
						t.Fatal(err)
					}
					generic, err := d.newSectors(m, key, opts)
					if err != nil {
						t.Fatal(err)
					}
					fast, err := New(spec, key, opts)
					if err != nil {
						t.Fatal(err)
					}
					if _, ok := fast.(*xts.Cipher); !ok {
						t.Errorf("%s with a key of %d bytes does not use package xts", spec, keySize)
					}
					for _, sector := range []uint64{0, 1<<32 - 2, 1<<29 - 1, 1<<61 - 3, 1<<64 - 2} {
						t.Run(fmt.Sprint(spec, keySize, size, large, sector), func(t *testing.T) {
							plain := make([]byte, 5*size)
							rnd.Read(plain)
							want, got := make([]byte, len(plain)), make([]byte, len(plain))
							fast.Encrypt(want, plain, sector)
							generic.Encrypt(got, plain, sector)
							if !bytes.Equal(got, want) {
								t.Error("encrypted differs")
							}
							generic.Decrypt(got, got, sector)
							if !bytes.Equal(got, plain) {
								t.Error("decrypted differs")
							}
						})
					}
				}
			}
		}
	}
}
