// Backing encrypts a qcow2 image that has a backing file in its folder. The disk of both files becomes one LUKS
// image.
//
//	backing overlay.qcow2 disk.luks passphrase-file
package main

import (
	"context"
	"errors"
	"log"
	"os"
	"path/filepath"

	"github.com/luksimg/luksimg"
	"github.com/luksimg/luksimg/image/folder"
)

func main() {
	if len(os.Args) != 4 {
		log.Fatal("usage: backing OVERLAY IMAGE PASSPHRASE-FILE")
	}
	key, err := os.ReadFile(os.Args[3])
	if err == nil {
		err = encrypt(context.Background(), os.Args[1], os.Args[2], key)
	}
	if err != nil {
		log.Fatal(err)
	}
}

func encrypt(ctx context.Context, src, dst string, key []byte) (err error) {
	f, err := os.Open(src)
	if err != nil {
		return err
	}
	defer f.Close()
	fi, err := f.Stat()
	if err != nil {
		return err
	}
	root, err := os.OpenRoot(filepath.Dir(src))
	if err != nil {
		return err
	}
	others := folder.New(root)
	defer others.Close()
	disk, err := luksimg.OpenImage(ctx, f, fi.Size(), luksimg.ImageOptions{Resolve: others.Resolve, ID: filepath.Base(src)})
	if err != nil {
		return err
	}
	defer disk.Close()
	out, err := os.OpenFile(dst, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	_, err = luksimg.Encrypt(ctx, out, disk, key, luksimg.EncryptOptions{})
	return err
}
