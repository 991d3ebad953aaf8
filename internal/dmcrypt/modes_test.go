package dmcrypt

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"encoding/hex"
	"strings"
	"testing"
)

// The four plaintext blocks of all vectors in NIST SP 800-38A, appendix F.
const nistPlain = "6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51" +
	"30c81c46a35ce411e5fbc1191a0a52eff69f2445df4f9b17ad2b417be66c3710"

// TestModesNIST runs vectors of NIST SP 800-38A, appendix F.
func TestModesNIST(t *testing.T) {
	const (
		key128 = "2b7e151628aed2a6abf7158809cf4f3c"
		key192 = "8e73b0f7da0e6452c810f32b809079e562f8ead2522c6b7b"
		key256 = "603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4"
		iv     = "000102030405060708090a0b0c0d0e0f"
		ctr0   = "f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff"
	)
	newECB := func(b cipher.Block) mode { return ecb{b} }
	newCBC := func(b cipher.Block) mode { return cbc{b} }
	newCTR := func(b cipher.Block) mode { return ctr{b} }
	for _, v := range []struct {
		name, key, iv, ct string
		new               func(cipher.Block) mode
	}{
		{"F.1.1", key128, "", "3ad77bb40d7a3660a89ecaf32466ef97f5d3d58503b9699de785895a96fdbaaf" +
			"43b1cd7f598ece23881b00e3ed0306887b0c785e27e8ad3f8223207104725dd4", newECB},
		{"F.2.1", key128, iv, "7649abac8119b246cee98e9b12e9197d5086cb9b507219ee95db113a917678b2" +
			"73bed6b8e3c1743b7116e69e222295163ff1caa1681fac09120eca307586e1a7", newCBC},
		{"F.2.3", key192, iv, "4f021db243bc633d7178183a9fa071e8b4d9ada9ad7dedf4e5e738763f69145a" +
			"571b242012fb7ae07fa9baac3df102e008b0e27988598881d920a9e64f5615cd", newCBC},
		{"F.2.5", key256, iv, "f58c4c04d6e5f1ba779eabfb5f7bfbd69cfc4e967edb808d679f777bc6702c7d" +
			"39f23369a9d9bacfa530e26304231461b2eb05e2c39be9fcda6c19078c6a9d1b", newCBC},
		{"F.5.1", key128, ctr0, "874d6191b620e3261bef6864990db6ce9806f66b7970fdff8617187bb9fffdff" +
			"5ae4df3edbd5d35e5b4f09020db03eab1e031dda2fbe03d1792170a0f3009cee", newCTR},
		{"F.5.5", key256, ctr0, "601ec313775789a5b7a7f504bbf3d228f443e3ca4d62b59aca84e990cacaf5c5" +
			"2b0930daa23de94ce87017ba2d84988ddfc9c58db67aada613c2dd08457941a6", newCTR},
	} {
		t.Run(v.name, func(t *testing.T) {
			b, err := aes.NewCipher(unhex(t, v.key))
			if err != nil {
				t.Fatal(err)
			}
			m := v.new(b)
			plain, want := unhex(t, nistPlain), unhex(t, v.ct)
			s := new(scratch)
			for _, inPlace := range []bool{false, true} {
				got := make([]byte, len(plain))
				src := plain
				if inPlace {
					src = got
					copy(got, plain)
				}
				copy(s.iv[:], unhex(t, v.iv))
				m.encrypt(got, src, s)
				if !bytes.Equal(got, want) {
					t.Errorf("encrypt: %x, want %x", got, want)
				}
				if !inPlace {
					src = want
				}
				copy(s.iv[:], unhex(t, v.iv))
				m.decrypt(got, src, s)
				if !bytes.Equal(got, plain) {
					t.Errorf("decrypt: %x, want %x", got, plain)
				}
			}
		})
	}
}

// TestCounterCarry makes the counter carry through all of its 16 bytes.
func TestCounterCarry(t *testing.T) {
	b, err := aes.NewCipher(make([]byte, 16))
	if err != nil {
		t.Fatal(err)
	}
	iv := bytes.Repeat([]byte{0xff}, blockSize)
	iv[blockSize-1] = 0xfe
	want := make([]byte, 8*blockSize)
	cipher.NewCTR(b, iv).XORKeyStream(want, want)
	s := new(scratch)
	copy(s.iv[:], iv)
	got := make([]byte, len(want))
	ctr{b}.encrypt(got, got, s)
	if !bytes.Equal(got, want) {
		t.Errorf("got %x, want %x", got, want)
	}
}

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	p, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return p
}
