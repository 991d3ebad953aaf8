package luks_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"

	"github.com/luksimg/luksimg/internal/golden"
	"github.com/luksimg/luksimg/luks"
)

// goldenPlain is the plaintext of the golden images.
func goldenPlain() []byte {
	var b bytes.Buffer
	for i := 0; b.Len() < 49152; i++ {
		fmt.Fprintf(&b, "line %d\n", i)
	}
	return b.Bytes()[:49152]
}

// TestGolden opens images that other programs made.
func TestGolden(t *testing.T) {
	for _, c := range []struct {
		name, uuid, label string
		version, keyBits  int
		sector            int
		offset            int64
		slot              luks.SlotInfo
	}{
		{name: "luks1-qemu-128-sha1", version: 1, keyBits: 256, sector: 512, offset: 2056 * 512,
			slot: luks.SlotInfo{KDF: "pbkdf2", Hash: "sha1", AFHash: "sha1", Offset: 4096, Size: 128000}},
		{name: "luks1-cryptsetup-sha512", version: 1, keyBits: 256, sector: 512, offset: 2 << 20, uuid: "11111111-2222-3333-4444-555555555555",
			slot: luks.SlotInfo{KDF: "pbkdf2", Hash: "sha512", Iterations: 1000, AFHash: "sha512", Offset: 4096, Size: 128000}},
		{name: "luks2-cryptsetup-512-pbkdf2", version: 2, keyBits: 256, sector: 512, offset: 1 << 20, label: "golden",
			slot: luks.SlotInfo{KDF: "pbkdf2", Hash: "sha512", Iterations: 1000, AFHash: "sha512", Offset: 32768, Size: 131072}},
		{name: "luks2-cryptsetup-4096-argon2id", version: 2, keyBits: 512, sector: 4096, offset: 1 << 20,
			slot: luks.SlotInfo{KDF: "argon2id", Iterations: 4, Memory: 1024, Parallel: 1, AFHash: "sha256", Offset: 32768, Size: 258048}},
		{name: "luks2-cryptsetup-1024-argon2i", version: 2, keyBits: 256, sector: 1024, offset: 1 << 20,
			slot: luks.SlotInfo{KDF: "argon2i", Iterations: 4, Memory: 64, Parallel: 1, AFHash: "sha256", Offset: 32768, Size: 131072}},
	} {
		t.Run(c.name, func(t *testing.T) {
			img := golden.Read("testdata/" + c.name + ".gz")
			h := open(t, img)
			i := h.Info()
			if i.Version != c.version || i.KeyBits != c.keyBits || i.SectorSize != c.sector || i.DataOffset != c.offset || i.Cipher != "aes-xts-plain64" ||
				i.Label != c.label || len(i.UUID) != 36 || c.uuid != "" && i.UUID != c.uuid || len(i.Warnings) > 0 || len(i.Keyslots) != 1 {
				t.Errorf("%+v", i)
			}
			s := i.Keyslots[0]
			if c.slot.Iterations == 0 { // qemu-img measures the cost
				c.slot.Iterations = s.Iterations
			}
			c.slot.Bound, c.slot.Priority, c.slot.Cipher, c.slot.KeyBits = true, "normal", "aes-xts-plain64", c.keyBits
			c.slot.AFStripes, c.slot.CipherBits, c.slot.Salt = 4000, c.keyBits, s.Salt
			if len(s.Salt) != 32 || !reflect.DeepEqual(s, c.slot) {
				t.Errorf("key slot\ngot  %+v\nwant %+v", s, c.slot)
			}
			v, err := h.Unlock(t.Context(), []byte("golden passphrase"))
			if err != nil {
				t.Fatal(err)
			}
			defer v.Close()
			got := make([]byte, v.Size())
			if _, err := v.ReadAt(got, 0); err != nil && err != io.EOF {
				t.Fatal(err)
			}
			if !bytes.Equal(got, goldenPlain()) {
				t.Error("plaintext differs")
			}
			if _, err := h.Unlock(t.Context(), []byte("golden passphrase\n")); !errors.Is(err, luks.ErrPassphrase) {
				t.Errorf("wrong passphrase: %v", err)
			}
		})
	}
}

// TestGoldenBytes checks the bytes of images made with a fixed source of randomness. It detects
// changes; the interop tests show that the bytes are right.
func TestGoldenBytes(t *testing.T) {
	for name, c := range map[string]struct {
		o    luks.Options
		want string
	}{
		"luks1":          {luks.Options{Version: 1, KDF: cheap}, "4b6a0a04a0042beb0159c85fa406869d47aed0a29b6b1d8c2cd5922645277c9f"},
		"luks2":          {luks.Options{KDF: luks.KDF{Memory: 32, Parallel: 1}, Label: "root", Subsystem: "test"}, "6cecb3b4159f6a0a9ae1d52c1472272ebcdb03e3a0f553e176f5781323286025"},
		"luks2-4096-sha": {luks.Options{KDF: cheap, SectorSize: 4096, KeySize: 32, Hash: "sha1", DataOffset: 1 << 20}, "db55f154b93e87030cbeb925614b60af305b1ef9e619df629b0bfa98848aa3eb"},
	} {
		c.o.Rand = rand.NewChaCha8([32]byte{'g'})
		sum := sha256.Sum256(write(t, goldenPlain(), c.o))
		if got := hex.EncodeToString(sum[:]); got != c.want {
			t.Errorf("%s: sha256 %s, want %s", name, got, c.want)
		}
	}
}

func ExampleNewWriter() {
	var img bytes.Buffer
	w, err := luks.NewWriter(context.Background(), &img, []byte("a passphrase"), luks.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	if _, err := io.Copy(w, strings.NewReader("the bytes of a disk")); err != nil {
		fmt.Println(err)
		return
	}
	if err := w.Close(); err != nil { // the image is complete only after Close
		fmt.Println(err)
		return
	}
	fmt.Println(img.Len(), "bytes")
	// Output: 16777728 bytes
}

func ExampleOpen() {
	var img bytes.Buffer // usually an *os.File
	w, _ := luks.NewWriter(context.Background(), &img, []byte("a passphrase"), luks.Options{})
	io.WriteString(w, "the bytes of a disk")
	w.Close()

	h, err := luks.Open(bytes.NewReader(img.Bytes()), int64(img.Len()), luks.OpenOptions{})
	if err != nil {
		fmt.Println(err)
		return
	}
	v, err := h.Unlock(context.Background(), []byte("a passphrase"))
	if errors.Is(err, luks.ErrPassphrase) {
		fmt.Println("wrong passphrase")
		return
	} else if err != nil {
		fmt.Println(err)
		return
	}
	defer v.Close()
	p := make([]byte, 9)
	if _, err := v.ReadAt(p, 4); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("%d bytes, %q\n", v.Size(), p)
	// Output: 512 bytes, "bytes of "
}
