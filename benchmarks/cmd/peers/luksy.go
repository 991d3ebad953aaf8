package main

import (
	"fmt"
	"io"
	"os"

	"github.com/containers/luksy"
)

// luksyEncrypt makes the calls of luksy's command encrypt.
func luksyEncrypt(version, keyFile, src, dst string) error {
	key, err := os.ReadFile(keyFile)
	if err != nil {
		return err
	}
	in, err := os.Open(src)
	if err != nil {
		return err
	}
	defer in.Close()
	var header []byte
	var encrypt func([]byte) ([]byte, error)
	sectorSize := 512
	if version == "1" {
		header, encrypt, sectorSize, err = luksy.EncryptV1([]string{string(key)}, "")
	} else {
		header, encrypt, sectorSize, err = luksy.EncryptV2([]string{string(key)}, "", sectorSize)
	}
	if err != nil {
		return err
	}
	out, err := os.Create(dst)
	if err != nil {
		return err
	}
	defer out.Close()
	if _, err := out.Write(header); err != nil {
		return err
	}
	w := luksy.EncryptWriter(encrypt, out, sectorSize)
	if _, err := io.Copy(w, in); err != nil {
		return err
	}
	return w.Close()
}

// luksyDecrypt makes the calls of luksy's command decrypt.
func luksyDecrypt(keyFile, src, dst string) error {
	key, err := os.ReadFile(keyFile)
	if err != nil {
		return err
	}
	in, err := os.Open(src)
	if err != nil {
		return err
	}
	defer in.Close()
	v1, v2, _, v2json, err := luksy.ReadHeaders(in, luksy.ReadHeaderOptions{})
	if err != nil {
		return err
	}
	var decrypt func([]byte) ([]byte, error)
	var sectorSize int
	var offset, size int64
	switch {
	case v1 != nil:
		decrypt, sectorSize, offset, size, err = v1.Decrypt(string(key), in)
	case v2 != nil:
		decrypt, sectorSize, offset, size, err = v2.Decrypt(string(key), in, *v2json)
	default:
		err = fmt.Errorf("%s: no LUKS header", src)
	}
	if err != nil {
		return err
	}
	if _, err := in.Seek(offset, io.SeekStart); err != nil {
		return err
	}
	out, err := os.Create(dst)
	if err != nil {
		return err
	}
	defer out.Close()
	r := luksy.DecryptReader(decrypt, in, sectorSize)
	defer r.Close()
	n, err := io.Copy(out, r)
	if err == nil && n != size {
		err = fmt.Errorf("%d bytes of %d", n, size)
	}
	return err
}
