package softlayer

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"

	"github.com/luksimg/luksimg/luks"
	"github.com/luksimg/luksimg/vhd"
)

const (
	minKeyText = 32  // characters
	maxKeyText = 512 // characters
)

// OpenLUKS is the [ImageOpener] of RAW images: LUKS1, aes-xts-plain64, opened with
// the base64 text itself as passphrase, each character of it. If the image does not
// open, it tries the mistakes that are usual, to tell which one it is.
func OpenLUKS(r io.ReaderAt, size int64, name string, text []byte) (io.ReaderAt, error) {
	if n := len(text); n < minKeyText || n > maxKeyText {
		return nil, fmt.Errorf("the unwrapped key has %d characters; a LUKS passphrase must have from %d to %d", n, minKeyText, maxKeyText)
	}
	h, err := luks.Open(r, size, luks.OpenOptions{})
	if errors.Is(err, luks.ErrNotLUKS) {
		return nil, fmt.Errorf("%s is not a LUKS image: a RAW image must be encrypted with LUKS1", name)
	}
	if err != nil {
		return nil, fmt.Errorf("the LUKS header of %s can not be used: %w", name, err)
	}
	if h.Version() != 1 {
		return nil, fmt.Errorf("%s is LUKS%d: only LUKS1 is accepted, encrypt with profile classic-luks", name, h.Version())
	}
	if info := h.Info(); info.Cipher != luks.DefaultCipher || info.Hash != "sha256" {
		return nil, fmt.Errorf("%s has the cipher %s and the hash %s: want %s and sha256, encrypt with profile classic-luks",
			name, info.Cipher, info.Hash, luks.DefaultCipher)
	}
	v, err := h.Unlock(context.Background(), text)
	if err != nil {
		return nil, mistake(h, text, err)
	}
	return v, nil
}

// mistake says what is wrong with the passphrase, if it is one of the usual mistakes.
func mistake(h *luks.Header, text []byte, err error) error {
	if !errors.Is(err, luks.ErrPassphrase) {
		return fmt.Errorf("the image does not open: %w", err)
	}
	opens := func(passphrase []byte) bool {
		defer clear(passphrase)
		key, _, err := h.VolumeKey(context.Background(), passphrase, luks.AnySlot)
		clear(key)
		return err == nil
	}
	if opens(append(bytes.Clone(text), '\n')) {
		return errors.New("the image opens only with a newline behind the key text: encrypt it again, with the base64 text alone as passphrase")
	}
	decoded := make([]byte, base64.StdEncoding.DecodedLen(len(text)))
	n, bad := base64.StdEncoding.Decode(decoded, text)
	if bad == nil && opens(decoded[:n]) {
		return errors.New("the image opens with the decoded key: encrypt it again, with the base64 text itself as passphrase")
	}
	return fmt.Errorf("the image does not open with the wrapped key: %w", err)
}

// OpenVHD is an [ImageOpener] of VHD images as vhd-util encrypts them: the key is the
// decoded text, of 32 or 64 bytes, and the file has a hash of it.
func OpenVHD(r io.ReaderAt, size int64, name string, text []byte) (io.ReaderAt, error) {
	key := make([]byte, base64.StdEncoding.DecodedLen(len(text)))
	defer clear(key)
	n, err := base64.StdEncoding.Decode(key, text)
	if err != nil {
		return nil, errors.New("the unwrapped key is not base64 text")
	}
	if n != 32 && n != 64 {
		return nil, fmt.Errorf("the unwrapped key has %d bytes: a VHD image is encrypted with 32 or 64", n)
	}
	d, err := vhd.Open(context.Background(), r, size, vhd.Options{Key: key[:n]})
	if err != nil {
		return nil, fmt.Errorf("%s does not open with the wrapped key: %w", name, err)
	}
	if i, err := d.Info(context.Background()); err != nil || !i.Encrypted {
		return nil, fmt.Errorf("%s is not encrypted, and a key was given for it: encrypt it with profile classic-vhd", name)
	}
	return d, nil
}
