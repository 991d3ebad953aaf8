package contender

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"testing"
)

// TestAgree checks that all contenders agree, except luksy, which generates its own key.
func TestAgree(t *testing.T) {
	for _, op := range []string{"enc", "dec"} {
		for _, keySize := range []int{32, 64} {
			for _, sectorSize := range []int{512, 1024, 2048, 4096} {
				for _, first := range []uint64{0, 1, 1<<32 - 5, 1<<64 - 3} {
					agree(t, op, keySize, sectorSize, first)
				}
			}
		}
	}
}

func agree(t *testing.T, op string, keySize, sectorSize int, first uint64) {
	key, src := make([]byte, keySize), make([]byte, 37*sectorSize)
	rand.Read(key)
	rand.Read(src)
	var want []byte
	for _, c := range All() {
		if c.Name == luksyPath.Name {
			continue
		}
		what := fmt.Sprintf("%s op=%s key=%d sector=%d from %#x", c.Name, op, 8*keySize, sectorSize, first)
		crypt, err := c.New(op, key, sectorSize)
		if errors.Is(err, ErrUnsupported) {
			continue
		}
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		got := make([]byte, len(src))
		crypt(got, src, first)
		if want == nil {
			want = got
		} else if !bytes.Equal(got, want) {
			t.Errorf("%s: differs from %s", what, All()[0].Name)
		}
	}
}
