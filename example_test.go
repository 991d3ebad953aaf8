package luksimg_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/luksimg/luksimg"
	"github.com/luksimg/luksimg/luks"
)

// encrypt encrypts a disk image of any format into a LUKS2 image.
func encrypt(ctx context.Context, dst, src *os.File, key []byte) error {
	fi, err := src.Stat()
	if err != nil {
		return err
	}
	disk, err := luksimg.OpenImage(ctx, src, fi.Size(), luksimg.ImageOptions{})
	if err != nil {
		return err
	}
	defer disk.Close()
	_, err = luksimg.Encrypt(ctx, dst, disk, key, luksimg.EncryptOptions{})
	return err
}

// encryptFile encrypts the disk image src into a new file.
func encryptFile(ctx context.Context, src, dst string, key []byte) error {
	in, err := os.Open(src)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.Create(dst)
	if err != nil {
		return err
	}
	defer out.Close()
	if err := encrypt(ctx, out, in, key); err != nil {
		return err
	}
	return out.Sync()
}

func ExampleEncrypt() {
	dir, err := os.MkdirTemp("", "luksimg")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	src, dst := filepath.Join(dir, "disk.raw"), filepath.Join(dir, "disk.luks")
	disk := make([]byte, 512)
	copy(disk, "this would be a disk")
	if err := os.WriteFile(src, disk, 0o600); err != nil {
		fmt.Println(err)
		return
	}
	key := []byte(rand.Text())
	if err := encryptFile(context.Background(), src, dst, key); err != nil {
		fmt.Println(err)
		return
	}
	// Open the image and read its plaintext.
	f, err := os.Open(dst)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer f.Close()
	fi, _ := f.Stat()
	volume, err := luksimg.OpenImage(context.Background(), f, fi.Size(), luksimg.ImageOptions{Key: key})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer volume.Close()
	p := make([]byte, 20)
	if _, err := volume.ReadAt(p, 0); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("%d bytes, %q\n", volume.Size(), p)
	// Output: 512 bytes, "this would be a disk"
}

func ExampleEncryptStream() {
	var image strings.Builder // or os.Stdout, or an upload
	o := luksimg.EncryptOptions{Profile: luksimg.ClassicLUKS}
	key := []byte("MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=")
	r, err := luksimg.EncryptStream(context.Background(), &image, strings.NewReader("a disk"), key, o)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("LUKS%d, %d bytes\n", r.LUKS.Version, image.Len())
	// Output: LUKS1, 5242880 bytes
}

func ExampleEncryptInOrder() {
	disk := strings.NewReader("a disk") // or what OpenImage returns, of any format
	var image strings.Builder
	o := luksimg.EncryptOptions{LUKS: luks.Options{Version: 1, GeneratedKey: true}, Digest: true}
	r, err := luksimg.EncryptInOrder(context.Background(), &image, disk, []byte(rand.Text()), o)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(r.SourceSize, r.SourceSHA256)
	// Output: 6 d614d695eb483126af8a5376433956a60f472ea41b5147893a461e1823006387
}

func ExampleInspect() {
	var b strings.Builder
	o := luksimg.EncryptOptions{LUKS: luks.Options{Version: 1, GeneratedKey: true}}
	if _, err := luksimg.EncryptStream(context.Background(), &b, strings.NewReader("a disk"), []byte(rand.Text()), o); err != nil {
		fmt.Println(err)
		return
	}
	i, err := luksimg.Inspect(context.Background(), strings.NewReader(b.String()), int64(b.Len()), luksimg.ImageOptions{})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(i.Format, i.LUKS.Cipher, i.LUKS.KeyBits, i.LUKS.Keyslots[0].KDF)
	// Output: luks1 aes-xts-plain64 512 pbkdf2
}

// TestReadme checks that the code in the README is the tested code.
func TestReadme(t *testing.T) {
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	source, err := os.ReadFile("example_test.go")
	if err != nil {
		t.Fatal(err)
	}
	_, code, _ := strings.Cut(string(readme), "```go\n")
	code, _, ok := strings.Cut(code, "```")
	if !ok || !strings.Contains(string(source), code) {
		t.Errorf("the code in README.md is not that of example_test.go:\n%s", code)
	}
}

// This example copies an image with a new volume key and a second passphrase.
func ExampleReencrypt() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "luksimg")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	at := func(name string) string { return filepath.Join(dir, name) }
	key, second := []byte(rand.Text()), []byte(rand.Text())
	if err := os.WriteFile(at("disk.raw"), make([]byte, 4096), 0o600); err != nil {
		fmt.Println(err)
		return
	}
	if err := encryptFile(ctx, at("disk.raw"), at("old.luks"), key); err != nil {
		fmt.Println(err)
		return
	}
	old, err := os.Open(at("old.luks"))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer old.Close()
	fi, err := old.Stat()
	if err != nil {
		fmt.Println(err)
		return
	}
	header, err := luks.Open(old, fi.Size(), luks.OpenOptions{})
	if err != nil {
		fmt.Println(err)
		return
	}
	disk, err := header.Unlock(ctx, key)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer disk.Close()
	out, err := os.Create(at("new.luks"))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer out.Close()
	r, err := luksimg.Reencrypt(ctx, out, header, disk, key, luksimg.ReencryptOptions{Keys: [][]byte{second}})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(len(r.LUKS.Keyslots), "key slots,", r.UUID != header.UUID())
	// Output: 2 key slots, true
}
