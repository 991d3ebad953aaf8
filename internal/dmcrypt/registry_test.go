package dmcrypt

import (
	"crypto/aes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// registered makes names unique if tests run more than once.
var registered atomic.Int64

func TestRegister(t *testing.T) {
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			n := registered.Add(1)
			block, hash := fmt.Sprintf("testblock%d", n), fmt.Sprintf("testhash%d", n)
			spec := block + "-cbc-essiv:" + hash
			if _, err := KeySizes(spec); !errors.Is(err, ErrUnknownCipher) {
				t.Errorf("before registration: %v", err)
			}
			RegisterBlock(block, aes.NewCipher, 32, 16)
			RegisterHash(hash, sha256.New)
			sizes, err := KeySizes(spec)
			if err != nil || len(sizes) != 2 || sizes[0] != 16 {
				t.Errorf("KeySizes = %v, %v", sizes, err)
			}
			if _, err := New(spec, make([]byte, 16), Options{}); err != nil {
				t.Error(err)
			}
			if !panics(func() { RegisterBlock(block, aes.NewCipher, 16) }) ||
				!panics(func() { RegisterHash(hash, sha256.New) }) {
				t.Error("no panic at the second registration")
			}
		})
	}
	wg.Wait()
}

// TestHash checks the digests of "abc" in FIPS 180-4 and FIPS 202, from NIST's examples with
// intermediate values.
func TestHash(t *testing.T) {
	for name, want := range map[string]string{
		"sha1":       "a9993e364706816aba3e25717850c26c9cd0d89d",
		"sha224":     "23097d223405d8228642a477bda255b32aadbce4bda0b3f7e36c9da7",
		"sha256":     "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
		"sha384":     "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed8086072ba1e7cc2358baeca134c825a7",
		"sha512":     "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f",
		"sha512-224": "4634270f707b6a54daae7530460842e20e37ed265ceee9a43e8924aa",
		"sha512-256": "53048e2681941ef99b2e29b76b4c7dabe4c2d0c634fc6d46e0e2f13107e7af23",
		"sha3-224":   "e642824c3f8cf24ad09234ee7d3c766fc9a3a5168d0c94ad73b46fdf",
		"sha3-256":   "3a985da74fe225b2045c172d6bd390bd855f086e3e9d525b46bfe24511431532",
		"sha3-384":   "ec01498288516fc926459f58e2c6ad8df9b473cb0fc08c2596da7cf0e49be4b298d88cea927ac7f539f1edf228376d25",
		"sha3-512":   "b751850b1a57168a5693cd924b6b096e08f621827444f70d884f5d0240d2712e10e116e9192af3c91a7ec57647e3934057340b4cf408d5a56592f8274eec53f0",
	} {
		for _, name := range []string{name, strings.ToUpper(name)} {
			newHash, err := Hash(name)
			if err != nil {
				t.Fatal(err)
			}
			h := newHash()
			h.Write([]byte("abc"))
			if got := hex.EncodeToString(h.Sum(nil)); got != want {
				t.Errorf("%s: %s, want %s", name, got, want)
			}
		}
	}
	for _, name := range []string{"", "md5", "sha257", "sha 256", "xchacha12,aes", strings.Repeat("a", 1<<20)} {
		if _, err := Hash(name); !errors.Is(err, ErrUnknownHash) || len(err.Error()) > 200 {
			t.Errorf("hash %.100q: %.300v", name, err)
		}
	}
}
