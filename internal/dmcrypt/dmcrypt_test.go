package dmcrypt

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
)

// allSpecs has one specification of each kind that is built in.
var allSpecs = []string{
	"aes-xts-plain64", "aes-xts-plain", "aes-xts-essiv:sha256", "aes-xts-plain64be", "capi:xts(aes)-plain64",
	"aes-cbc-essiv:sha256", "aes-cbc-plain", "aes-cbc-benbi", "aes-cbc-null", "aes-plain", "aes",
	"aes-ctr-plain64", "aes-ecb", "aes-ecb-null",
}

// newCipher returns a cipher with a key of the largest size.
func newCipher(t testing.TB, spec string, opts Options) SectorCipher {
	t.Helper()
	sizes, err := KeySizes(spec)
	if err != nil {
		t.Fatal(err)
	}
	c, err := New(spec, bytes.Repeat([]byte{7}, sizes[len(sizes)-1]), opts)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestKeySizes(t *testing.T) {
	for spec, want := range map[string][]int{
		"aes-xts-plain64":       {32, 48, 64},
		"capi:xts(aes)-plain64": {32, 48, 64},
		"aes-cbc-essiv:sha256":  {16, 24, 32},
		"aes-ecb":               {16, 24, 32},
	} {
		got, err := KeySizes(spec)
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("KeySizes(%q) = %v, %v, want %v", spec, got, err, want)
		}
		for n := range 100 {
			err := CheckKeySize(spec, n)
			_, errNew := New(spec, make([]byte, n), Options{})
			if ok := slices.Contains(want, n); ok != (err == nil) || ok != (errNew == nil) {
				t.Errorf("%s with %d bytes: CheckKeySize says %v, New %v", spec, n, err, errNew)
			}
			if err != nil && (!errors.Is(err, ErrKeySize) || !errors.Is(errNew, ErrKeySize)) {
				t.Errorf("%s with %d bytes: %v, %v", spec, n, err, errNew)
			}
		}
	}
	if _, err := KeySizes("none"); !errors.Is(err, ErrUnknownCipher) {
		t.Errorf("KeySizes of no cipher: %v", err)
	}
	if err := CheckKeySize("none", 32); !errors.Is(err, ErrUnknownCipher) {
		t.Errorf("CheckKeySize of no cipher: %v", err)
	}
}

func TestSectorSize(t *testing.T) {
	for _, n := range []int{-512, 1, 256, 511, 513, 1536, 8192} {
		if _, err := New("aes-ecb", make([]byte, 16), Options{SectorSize: n}); err == nil {
			t.Errorf("sector size %d was accepted", n)
		}
	}
	for _, n := range []int{0, 512, 1024, 2048, 4096} {
		for _, spec := range allSpecs {
			if got := newCipher(t, spec, Options{SectorSize: n}).SectorSize(); got != max(n, 512) {
				t.Errorf("%s: SectorSize() = %d, want %d", spec, got, n)
			}
		}
	}
}

// TestIVUnits checks that a sector of 4096 bytes has the IV of its first 512 bytes, or that of its own
// number with LargeIV.
func TestIVUnits(t *testing.T) {
	plain := make([]byte, 4096)
	for _, spec := range allSpecs {
		c := newCipher(t, spec, Options{})
		want := make([]byte, 512)
		c.Encrypt(want, plain[:512], 8*5)
		got := make([]byte, 4096)
		newCipher(t, spec, Options{SectorSize: 4096}).Encrypt(got, plain, 5)
		if !bytes.Equal(got[:512], want) {
			t.Errorf("%s: the IV of sector 5 of 4096 bytes differs from that of sector 40 of 512", spec)
		}
		c.Encrypt(want, plain[:512], 5)
		newCipher(t, spec, Options{SectorSize: 4096, LargeIV: true}).Encrypt(got, plain, 5)
		if !bytes.Equal(got[:512], want) {
			t.Errorf("%s with LargeIV: the IV of sector 5 of 4096 bytes differs from that of sector 5 of 512", spec)
		}
	}
}

func TestConcurrent(t *testing.T) {
	for _, spec := range allSpecs {
		c := newCipher(t, spec, Options{})
		plain := bytes.Repeat([]byte("plaintext"), 512)[:4096]
		want := make([]byte, len(plain))
		c.Encrypt(want, plain, 3)
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				p := bytes.Clone(plain)
				for range 20 {
					c.Encrypt(p, p, 3)
					if !bytes.Equal(p, want) {
						t.Errorf("%s: wrong ciphertext", spec)
					}
					c.Decrypt(p, p, 3)
					if !bytes.Equal(p, plain) {
						t.Errorf("%s: wrong plaintext", spec)
					}
				}
			})
		}
		wg.Wait()
	}
}

func TestNoAllocations(t *testing.T) {
	p := make([]byte, 8192)
	for _, spec := range allSpecs {
		c := newCipher(t, spec, Options{})
		if n := testing.AllocsPerRun(100, func() { c.Encrypt(p, p, 1); c.Decrypt(p, p, 1) }); n >= 1 && !raceEnabled {
			t.Errorf("%s: %v allocations", spec, n)
		}
	}
}

// TestKeyNotRetained wipes the key after use, as callers do.
func TestKeyNotRetained(t *testing.T) {
	for _, spec := range allSpecs {
		sizes, err := KeySizes(spec)
		if err != nil {
			t.Fatal(err)
		}
		key := bytes.Repeat([]byte{7}, sizes[len(sizes)-1])
		c, err := New(spec, key, Options{})
		if err != nil {
			t.Fatal(err)
		}
		clear(key)
		got, want := make([]byte, 512), make([]byte, 512)
		c.Encrypt(got, got, 1)
		newCipher(t, spec, Options{}).Encrypt(want, want, 1)
		if !bytes.Equal(got, want) {
			t.Errorf("%s: wiping the key changed the cipher", spec)
		}
	}
}

func TestMisuse(t *testing.T) {
	p := make([]byte, 2048)
	for _, spec := range append(allSpecs, "cipher_null-ecb") {
		newCipher := func() SectorCipher {
			c, err := New(spec, bytes.Repeat([]byte{7}, 32), Options{AllowNull: true})
			if err != nil {
				t.Fatal(err)
			}
			return c
		}
		for name, f := range map[string]func(c SectorCipher){
			"part of a sector": func(c SectorCipher) { c.Encrypt(p, p[:100], 0) },
			"short dst":        func(c SectorCipher) { c.Encrypt(p[:512], p[:1024], 0) },
			"overlap":          func(c SectorCipher) { c.Decrypt(p[1:], p[:512], 0) },
			"closed":           func(c SectorCipher) { c.Close(); c.Close(); c.Decrypt(p, p, 0) },
		} {
			if spec == "cipher_null-ecb" && name == "closed" {
				continue // Close has no effect
			}
			if !panics(func() { f(newCipher()) }) {
				t.Errorf("%s, %s: no panic", spec, name)
			}
		}
		c := newCipher()
		c.Encrypt(nil, nil, 0)
		dst := bytes.Repeat([]byte{1}, 1024)
		c.Encrypt(dst, p[:512], 0)
		if !bytes.Equal(dst[512:], bytes.Repeat([]byte{1}, 512)) {
			t.Errorf("%s: wrote beyond len(src)", spec)
		}
	}
}

func panics(f func()) (did bool) {
	defer func() {
		v := recover()
		s, _ := v.(string)
		did = strings.HasPrefix(s, "dmcrypt: ") || strings.HasPrefix(s, "xts: ")
	}()
	f()
	return false
}
