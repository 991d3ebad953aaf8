package xts

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

type vector struct {
	name        string
	key, pt, ct []byte
	tweak       [16]byte
}

// TestVectors runs published vectors as data units. Vectors of 512 bytes with a 64-bit tweak also run
// as sectors.
func TestVectors(t *testing.T) {
	for _, file := range []struct {
		name string
		want int
	}{
		{"ieee1619.rsp", 14},
		{"cavp.rsp", 10},
	} {
		t.Run(file.name, func(t *testing.T) {
			vectors := readVectors(t, file.name)
			if len(vectors) != file.want {
				t.Errorf("%d vectors, want %d", len(vectors), file.want)
			}
			forEachImplementation(t, func(t *testing.T, impl implementation) {
				for _, v := range vectors {
					t.Run(v.name, func(t *testing.T) { v.check(t, impl) })
				}
			})
		})
	}
}

func (v vector) check(t *testing.T, impl implementation) {
	c := mustNew(t, impl, v.key, Options{})
	got := make([]byte, len(v.pt))
	c.EncryptUnit(got, v.pt, &v.tweak)
	if !bytes.Equal(got, v.ct) {
		t.Errorf("EncryptUnit: %x, want %x", got, v.ct)
	}
	c.DecryptUnit(got, v.ct, &v.tweak)
	if !bytes.Equal(got, v.pt) {
		t.Errorf("DecryptUnit: %x, want %x", got, v.pt)
	}
	if len(v.pt) != 512 || binary.LittleEndian.Uint64(v.tweak[8:]) != 0 {
		return
	}
	sector := binary.LittleEndian.Uint64(v.tweak[:])
	c.Encrypt(got, v.pt, sector)
	if !bytes.Equal(got, v.ct) {
		t.Errorf("Encrypt: %x, want %x", got, v.ct)
	}
	c.Decrypt(got, v.ct, sector)
	if !bytes.Equal(got, v.pt) {
		t.Errorf("Decrypt: %x, want %x", got, v.pt)
	}
}

// readVectors reads a file in the format of NIST's response files. CT ends a vector. A comment in the
// body names the source of the following vectors.
func readVectors(t *testing.T, name string) []vector {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	var vectors []vector
	var v vector
	origin := name
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		if file, ok := strings.CutPrefix(line, "# "); ok && strings.HasSuffix(file, ".rsp") && !strings.Contains(file, " ") {
			origin = file
		}
		key, value, ok := strings.Cut(line, " = ")
		if !ok || strings.HasPrefix(line, "#") {
			continue
		}
		if key == "COUNT" {
			v = vector{name: origin + "/" + value}
			continue
		}
		b, err := hex.DecodeString(value)
		if err != nil {
			t.Fatalf("%s: %s of %s: %v", name, key, v.name, err)
		}
		switch key {
		case "Key":
			v.key = b
		case "i":
			v.tweak = [16]byte(b)
		case "PT":
			v.pt = b
		case "CT":
			v.ct = b
			vectors = append(vectors, v)
		default:
			t.Fatalf("%s: unknown field %q", name, key)
		}
	}
	return vectors
}
