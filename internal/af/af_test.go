package af

import (
	"bytes"
	"crypto/rand"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"hash"
	"testing"
)

func TestSplitMerge(t *testing.T) {
	for name, h := range map[string]func() hash.Hash{"sha1": sha1.New, "sha256": sha256.New, "sha512": sha512.New} {
		for _, n := range []int{1, 16, 20, 24, 32, 33, 64, 128} {
			key := make([]byte, n)
			rand.Read(key)
			s, err := Split(key, h, rand.Reader)
			if err != nil {
				t.Fatal(err)
			}
			if got := Merge(s, n, h); !bytes.Equal(got, key) {
				t.Errorf("%s, %d bytes: the merged key differs", name, n)
			}
			if n < 16 {
				continue // one byte is equal by chance, once in 256 times
			}
			// Each bit of the material must matter.
			s[len(s)/3] ^= 1
			if got := Merge(s, n, h); bytes.Equal(got, key) {
				t.Errorf("%s, %d bytes: a changed bit did not change the key", name, n)
			}
		}
	}
}

// TestKnown checks a value that the Python program testdata/af.py computed.
func TestKnown(t *testing.T) {
	s := make([]byte, 24*Stripes)
	for i := range s {
		s[i] = byte(i * 7 / 3)
	}
	for name, want := range map[string]string{
		"sha1":   "dc34bf02b9898c89f5da09d83520f9b71d43203b81bb9b2e",
		"sha256": "56f4ff2f4daf026373f566d708a6c738d7169a24943409a3",
	} {
		h := map[string]func() hash.Hash{"sha1": sha1.New, "sha256": sha256.New}[name]
		if got := hex.EncodeToString(Merge(s, 24, h)); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
}

// TestSplitIsRandom checks that every stripe was filled: each must differ from zeros.
func TestSplitIsRandom(t *testing.T) {
	s, err := Split(make([]byte, 64), sha256.New, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for i := range Stripes {
		if bytes.Equal(s[i*64:(i+1)*64], make([]byte, 64)) {
			t.Fatalf("stripe %d is zeros", i)
		}
	}
}

func TestSplitShortRandom(t *testing.T) {
	if _, err := Split(make([]byte, 32), sha256.New, bytes.NewReader(make([]byte, 32*(Stripes-1)-1))); err == nil {
		t.Error("a source of randomness that ends was accepted")
	}
}
