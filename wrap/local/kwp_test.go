package local

import (
	"bytes"
	"crypto/aes"
	"encoding/hex"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/luksimg/luksimg/internal/need"
)

// vectors are those of RFC 5649, section 6, followed by OpenSSL's vectors for the other key lengths
// (test/recipes/30-test_evp_data/evpciph_aes_wrap.txt).
var vectors = []struct{ key, plain, wrapped string }{
	{"5840df6e29b02af1ab493b705bf16ea1ae8338f4dcc176a8", "c37b7e6492584340bed12207808941155068f738", "138bdeaa9b8fa7fc61f97742e72248ee5ae6ae5360d1ae6a5f54f373fa543b6a"},
	{"5840df6e29b02af1ab493b705bf16ea1ae8338f4dcc176a8", "466f7250617369", "afbeb0f07dfbf5419200f2ccb50bb24f"},
	{"5840df6e29b02af1ab493b705bf16ea1", "c37b7e6492584340bed12207808941155068f738", "ed9f0ecfbb761b7365838733e3f42f81a049f077e901f63bfe0519e8a12e9bcf"},
	{"5840df6e29b02af1ab493b705bf16ea1ae8338f4dcc176a80001020304050607", "c37b7e6492584340bed12207808941155068f738", "a3696fe696c7baa90972a62d5a334c353ca01cd2d02cb407d72a231e01ead9dd"},
}

// inverseVectors are NIST's vectors in kwtestvectors.zip that OpenSSL publishes. They are for KWP with the inverse
// cipher (_inv), which swaps Encrypt and Decrypt of AES, as this block does.
var inverseVectors = []struct{ key, plain, wrapped string }{
	{"7877f11e1a2d530a0b27274d4e6d7f2c", "52", "ea53d73d75f5f0642c64d4715d1c131a"},
	{"983dc3acf84ca6522b26f818cd0cf64f", "f469d3232eed4d096f", "441da28c430266c29e8413a5938089013c0e8251280ecddc"},
	{"427c6c0a2cc30bbe0cd9fc6b11c29f8cfe64df6ab0379433", "98", "f5dcb63193a377a526db98a852db6099"},
	{"48658f36aa5e24621f86fa6db06487bd635b18ff87704431a1c42cd145115c51", "16700199665ff161", "6990b3b115563ef6a0884a110a393ee4"},
	{"1c321a356b0ee25e30de2d618c1facbe", "42", "3ddf22da3080a1a5252574c76f833790"},
	{"fe3fe235bb36dcf03f01cbf32cc98a3abf10ab3d608d3b30", "1d2b7fc29991bafaf7", "c11afb3c0de263dfb9b672a5f81fe0b9acfe9c407691f332"},
	{"148a3fa618a6998c30b9f0f67922354a3747f2fa2e4d2e0b7af9582d6f548fee", "441125592acf9e5208dcd558a7ac0034d15530dbad7a2913963da0cbf60aa3", "23f26a9476829885055694062c89b86399e8d6125509c9e88bb0a5b5113f4bfc8d34a62cba3c9eee"},
}

type inverse struct {
	b interface {
		Encrypt(dst, src []byte)
		Decrypt(dst, src []byte)
	}
}

func (inverse) BlockSize() int            { return 16 }
func (i inverse) Encrypt(dst, src []byte) { i.b.Decrypt(dst, src) }
func (i inverse) Decrypt(dst, src []byte) { i.b.Encrypt(dst, src) }

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestVectors(t *testing.T) {
	for i, v := range append(vectors, inverseVectors...) {
		block, err := aes.NewCipher(unhex(t, v.key))
		if err != nil {
			t.Fatal(err)
		}
		if i >= len(vectors) {
			block = inverse{block}
		}
		got, err := kwpWrap(block, unhex(t, v.plain))
		if err != nil || hex.EncodeToString(got) != v.wrapped {
			t.Errorf("%d: wrapped is %x, %v, want %s", i, got, err, v.wrapped)
		}
		back, err := kwpUnwrap(block, unhex(t, v.wrapped))
		if err != nil || hex.EncodeToString(back) != v.plain {
			t.Errorf("%d: plain is %x, %v, want %s", i, back, err, v.plain)
		}
	}
}

// TestLengths wraps all relevant lengths, and flips every byte.
func TestLengths(t *testing.T) {
	block, _ := aes.NewCipher(bytes.Repeat([]byte{3}, 32))
	r := rand.New(rand.NewPCG(1, 2))
	for n := 1; n <= 80; n++ {
		plain := make([]byte, n)
		for i := range plain {
			plain[i] = byte(r.Uint32())
		}
		w, err := kwpWrap(block, plain)
		if err != nil || len(w) != (n+7)/8*8+8 {
			t.Fatalf("%d: %d bytes, %v", n, len(w), err)
		}
		back, err := kwpUnwrap(block, w)
		if err != nil || !bytes.Equal(back, plain) {
			t.Fatalf("%d: %x, %v", n, back, err)
		}
		for i := range w {
			w[i] ^= 0x80
			if _, err := kwpUnwrap(block, w); err == nil {
				t.Errorf("%d: unwraps with byte %d flipped", n, i)
			}
			w[i] ^= 0x80
		}
		if _, err := kwpUnwrap(block, w[:len(w)-8]); err == nil {
			t.Errorf("%d: unwraps although truncated", n)
		}
	}
	for _, n := range []int{0, maxPlain + 1} {
		if _, err := kwpWrap(block, make([]byte, n)); err == nil {
			t.Errorf("accepted %d bytes to wrap", n)
		}
	}
}

// TestChecks wraps wrong constants, lengths and padding with the right key. kwpUnwrap must refuse each of them by RFC
// 5649, section 3.
func TestChecks(t *testing.T) {
	block, _ := aes.NewCipher(bytes.Repeat([]byte{3}, 32))
	for name, plain := range map[string]string{
		"good":                 "a65959a600000003" + "0102030000000000",
		"constant":             "a65959a700000003" + "0102030000000000",
		"length 0":             "a65959a600000000" + "0000000000000000",
		"length 9":             "a65959a600000009" + "0102030405060708",
		"length huge":          "a65959a6ffffffff" + "0102030405060708",
		"length 2^31":          "a65959a680000003" + "0102030000000000",
		"padding at its start": "a65959a600000003" + "0102030100000000",
		"padding at its end":   "a65959a600000003" + "0102030000000001",
	} {
		forged := unhex(t, plain)
		block.Encrypt(forged, forged)
		got, err := kwpUnwrap(block, forged)
		if name == "good" {
			if err != nil || hex.EncodeToString(got) != "010203" {
				t.Errorf("good: %x, %v", got, err)
			}
		} else if err == nil {
			t.Errorf("%s: gives %x", name, got)
		}
	}
	for _, n := range []int{0, 8, 15, 17, maxPlain + 16} {
		if _, err := kwpUnwrap(block, make([]byte, n)); err == nil {
			t.Errorf("accepted %d bytes to unwrap", n)
		}
	}
}

// TestOpenSSL has the openssl command unwrap what this package wrapped.
func TestOpenSSL(t *testing.T) {
	need.Program(t, "openssl")
	key := bytes.Repeat([]byte{0x5c}, 32)
	block, _ := aes.NewCipher(key)
	for _, n := range []int{5, 16, 32, 44, 64} {
		plain := bytes.Repeat([]byte{byte(n)}, n)
		w, err := kwpWrap(block, plain)
		if err != nil {
			t.Fatal(err)
		}
		name := filepath.Join(t.TempDir(), "wrapped")
		if err := os.WriteFile(name, w, 0o600); err != nil {
			t.Fatal(err)
		}
		out, err := exec.Command("openssl", "enc", "-d", "-id-aes256-wrap-pad", "-K", hex.EncodeToString(key), "-iv", "a65959a6", "-in", name).Output()
		if err != nil || !bytes.Equal(out, plain) {
			t.Errorf("%d bytes: openssl gives %x, %v", n, out, err)
		}
	}
}

func FuzzUnwrap(f *testing.F) {
	for _, v := range vectors {
		f.Add(unhex(f, v.key), unhex(f, v.wrapped))
	}
	f.Add(make([]byte, 16), make([]byte, 8))
	f.Fuzz(func(t *testing.T, key, wrapped []byte) {
		block, err := aes.NewCipher(key)
		if err != nil {
			return
		}
		plain, err := kwpUnwrap(block, wrapped)
		if err != nil {
			return
		}
		again, err := kwpWrap(block, plain)
		if err != nil || !bytes.Equal(again, wrapped) {
			t.Fatalf("%x unwraps to %x, which wraps to %x, %v", wrapped, plain, again, err)
		}
	})
}
