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

// OpenLUKS is the [ImageOpener] of RAW images: LUKS1 with aes-xts-plain64, whose passphrase is the
// complete base64 text. If the image does not open, OpenLUKS tries common mistakes to report the
// right one.
func OpenLUKS(r io.ReaderAt, size int64, name string, text []byte) (io.ReaderAt, error) {
	if n := len(text); n < minKeyText || n > maxKeyText {
		return nil, fmt.Errorf("the unwrapped key has %d characters; a LUKS passphrase must have from %d to %d", n, minKeyText, maxKeyText)
	}
	h, err := luks.Open(r, size, luks.OpenOptions{})
	if errors.Is(err, luks.ErrNotLUKS) {
		return nil, fmt.Errorf("%s is not a LUKS image: a RAW image must be encrypted with LUKS1", name)
	}
	if err != nil {
		return nil, fmt.Errorf("the LUKS header of %s is unusable: %w", name, err)
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

// mistake returns an error that describes a common mistake with the passphrase, or err.
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
		return errors.New("the image opens only with a newline after the key text: encrypt it again, with only the base64 text as passphrase")
	}
	decoded := make([]byte, base64.StdEncoding.DecodedLen(len(text)))
	n, bad := base64.StdEncoding.Decode(decoded, text)
	if bad == nil && opens(decoded[:n]) {
		return errors.New("the image opens with the decoded key: encrypt it again, with the base64 text itself as passphrase")
	}
	return fmt.Errorf("the image does not open with the wrapped key: %w", err)
}

// OpenVHD is the [ImageOpener] of VHD images encrypted by vhd-util. The key is the
// decoded text of 32 or 64 bytes, and the file contains a hash of it.
func OpenVHD(r io.ReaderAt, size int64, name string, text []byte) (io.ReaderAt, error) {
	key := make([]byte, base64.StdEncoding.DecodedLen(len(text)))
	defer clear(key)
	n, err := base64.StdEncoding.Decode(key, text)
	if err != nil {
		return nil, errors.New("the unwrapped key is not base64 text")
	}
	if n != 32 && n != 64 {
		return nil, fmt.Errorf("the unwrapped key has %d bytes: a VHD image requires 32 or 64", n)
	}
	d, err := vhd.Open(context.Background(), r, size, vhd.Options{Key: key[:n]})
	if err != nil {
		return nil, fmt.Errorf("%s does not open with the wrapped key: %w", name, err)
	}
	if i, err := d.Info(context.Background()); err != nil || !i.Encrypted {
		return nil, fmt.Errorf("%s is not encrypted, but a key was given: encrypt it with profile classic-vhd", name)
	}
	return d, nil
}
