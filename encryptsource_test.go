package luksimg_test

import (
	"bytes"
	"io"
	"math/rand/v2"
	"testing"

	"github.com/luksimg/luksimg"
	"github.com/luksimg/luksimg/internal/imagetest"
	"github.com/luksimg/luksimg/luks"
)

// TestEncrypted reads the encrypted view of a disk, in order and at random, and opens it.
func TestEncrypted(t *testing.T) {
	disk := make([]byte, 300_000) // not a whole number of sectors
	rand.NewChaCha8([32]byte{5}).Read(disk)
	src := bytes.NewReader(disk)
	fast := luks.KDF{Type: "pbkdf2", Iterations: 1000}
	for name, o := range map[string]luksimg.EncryptOptions{
		"LUKS1":      {Format: luksimg.LUKS1, LUKS: luks.Options{KDF: fast}},
		"LUKS2":      {LUKS: luks.Options{KDF: fast}},
		"LUKS2 4096": {LUKS: luks.Options{KDF: fast, SectorSize: 4096}},
		"profile":    {Profile: luksimg.ClassicLUKS},
	} {
		t.Run(name, func(t *testing.T) {
			key := []byte("c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0")
			e, err := luksimg.NewEncrypted(t.Context(), src, key, o)
			if err != nil {
				t.Fatal(err)
			}
			defer e.Close()
			image, err := io.ReadAll(io.NewSectionReader(e, 0, e.Size()))
			if err != nil {
				t.Fatal(err)
			}
			imagetest.Source(t, e, image)
			img, err := luksimg.OpenImage(t.Context(), bytes.NewReader(image), e.Size(), luksimg.ImageOptions{Key: key})
			if err != nil {
				t.Fatal(err)
			}
			defer img.Close()
			back := make([]byte, e.VolumeSize)
			if n, err := img.ReadAt(back, 0); n != len(back) || err != nil && err != io.EOF {
				t.Fatal(n, err)
			}
			if want := append(bytes.Clone(disk), make([]byte, len(back)-len(disk))...); !bytes.Equal(back, want) {
				t.Error("the decrypted data differs")
			}
		})
	}
}

// TestEncryptedRefuses checks that unsupported options are refused.
func TestEncryptedRefuses(t *testing.T) {
	src := bytes.NewReader(make([]byte, 512))
	for name, o := range map[string]luksimg.EncryptOptions{
		"detached": {Header: &discard{}}, "digest": {Digest: true}, "zeros": {DiscardZeros: true}, "qcow2": {Format: luksimg.QCOW2}, "raw": {Format: luksimg.Raw},
	} {
		if _, err := luksimg.NewEncrypted(t.Context(), src, []byte("key"), o); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

type discard struct{}

func (discard) WriteAt(p []byte, _ int64) (int, error) { return len(p), nil }
