package luksimg_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"
	"testing/iotest"

	"github.com/luksimg/luksimg"
	"github.com/luksimg/luksimg/luks"
)

// quick derives keys at the lowest cost.
var quick = luks.KDF{Type: luks.PBKDF2, Iterations: 1000}

func TestDecryptStream(t *testing.T) {
	ctx, key := context.Background(), []byte("secret")
	disk := make([]byte, 3<<20)
	rand.Read(disk)
	clear(disk[1<<20 : 2<<20])
	for name, o := range map[string]luksimg.EncryptOptions{
		"luks1":      {Format: luksimg.LUKS1, LUKS: luks.Options{KDF: quick}},
		"luks2":      {Format: luksimg.LUKS2, LUKS: luks.Options{KDF: quick}},
		"luks2-4096": {Format: luksimg.LUKS2, LUKS: luks.Options{KDF: quick, SectorSize: 4096}},
	} {
		t.Run(name, func(t *testing.T) {
			var img bytes.Buffer
			if _, err := luksimg.EncryptStream(ctx, &img, bytes.NewReader(disk), key, o); err != nil {
				t.Fatal(err)
			}
			whole := img.Bytes()
			for _, jobs := range []int{1, 3} {
				var out bytes.Buffer
				do := luksimg.DecryptStreamOptions{}
				do.Jobs = jobs
				// A pipe returns short reads.
				r, err := luksimg.DecryptStream(ctx, &out, iotest.HalfReader(bytes.NewReader(whole)), key, do)
				if err != nil {
					t.Fatal(err)
				}
				if r.Size < int64(len(disk)) || r.Size != int64(out.Len()) || !bytes.Equal(out.Bytes()[:len(disk)], disk) {
					t.Errorf("%d bytes written, the result says %d", out.Len(), r.Size)
				}
			}
			h, err := luks.Open(bytes.NewReader(whole), int64(len(whole)), luks.OpenOptions{})
			if err != nil {
				t.Fatal(err)
			}
			data := int(h.DataOffset())
			for _, n := range []int{0, 3, 591, 4095, 16384, data / 2, data - 1, data, data + 1, data + 511, len(whole) - 1} {
				_, err := luksimg.DecryptStream(ctx, io.Discard, bytes.NewReader(whole[:n]), key, luksimg.DecryptStreamOptions{})
				if !errors.Is(err, io.ErrUnexpectedEOF) {
					t.Errorf("the first %d bytes: %v", n, err)
				}
			}
			var cut bytes.Buffer
			allow := luksimg.DecryptStreamOptions{LUKS: luks.OpenOptions{AllowTruncated: true}}
			sector := h.SectorSize()
			if _, err := luksimg.DecryptStream(ctx, &cut, bytes.NewReader(whole[:data+5*sector-1]), key, allow); err != nil || !bytes.Equal(cut.Bytes(), disk[:4*sector]) {
				t.Errorf("cut within a sector, with AllowTruncated: %d bytes, %v", cut.Len(), err)
			}
			if _, err := luksimg.DecryptStream(ctx, io.Discard, bytes.NewReader(whole), []byte("wrong"), luksimg.DecryptStreamOptions{}); !errors.Is(err, luks.ErrPassphrase) {
				t.Errorf("a wrong key: %v", err)
			}
			broken := errors.New("broken")
			if _, err := luksimg.DecryptStream(ctx, io.Discard, io.MultiReader(bytes.NewReader(whole[:data+4096]), iotest.ErrReader(broken)), key, luksimg.DecryptStreamOptions{}); !errors.Is(err, broken) {
				t.Errorf("a stream that breaks: %v", err)
			}
			stopped, cancel := context.WithCancel(ctx)
			cancel()
			if _, err := luksimg.DecryptStream(stopped, io.Discard, bytes.NewReader(whole), key, luksimg.DecryptStreamOptions{}); !errors.Is(err, context.Canceled) {
				t.Errorf("cancelled: %v", err)
			}
		})
	}
}

func TestDecryptStreamDetached(t *testing.T) {
	ctx, key := context.Background(), []byte("secret")
	disk := make([]byte, 1<<20)
	rand.Read(disk)
	var img bytes.Buffer
	header, err := os.Create(filepath.Join(t.TempDir(), "header"))
	if err != nil {
		t.Fatal(err)
	}
	defer header.Close()
	o := luksimg.EncryptOptions{LUKS: luks.Options{KDF: quick}, Header: header}
	if _, err := luksimg.EncryptStream(ctx, &img, bytes.NewReader(disk), key, o); err != nil {
		t.Fatal(err)
	}
	h, err := luks.Open(header, 1<<40, luks.OpenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if _, err := luksimg.DecryptStream(ctx, &out, &img, key, luksimg.DecryptStreamOptions{Header: h}); err != nil || !bytes.Equal(out.Bytes(), disk) {
		t.Errorf("%d bytes: %v", out.Len(), err)
	}
	if _, err := header.Seek(0, io.SeekStart); err != nil {
		t.Fatal(err)
	}
	if _, err := luksimg.DecryptStream(ctx, &out, header, key, luksimg.DecryptStreamOptions{}); !errors.Is(err, luksimg.ErrDetached) {
		t.Errorf("a header alone: %v", err)
	}
}

// This example decrypts an image that arrives from a network connection or a pipe.
func ExampleDecryptStream() {
	ctx, key := context.Background(), []byte("secret")
	r, w := io.Pipe()
	go func() {
		_, err := luksimg.EncryptStream(ctx, w, bytes.NewReader(make([]byte, 4096)), key, luksimg.EncryptOptions{LUKS: luks.Options{KDF: quick}})
		w.CloseWithError(err)
	}()
	result, err := luksimg.DecryptStream(ctx, io.Discard, r, key, luksimg.DecryptStreamOptions{})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(result.Size, "bytes")
	// Output: 4096 bytes
}
