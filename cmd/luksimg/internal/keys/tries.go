package keys

import (
	"context"
	"errors"
	"fmt"

	"github.com/luksimg/luksimg/cmd/luksimg/internal/talk"
	"github.com/luksimg/luksimg/internal/rest"
	"github.com/luksimg/luksimg/luks"
	"github.com/luksimg/luksimg/vhd"
)

// tries is the number of times that a person can type a passphrase, the same as in cryptsetup.
const tries = 3

// Unlock reads the key of an image and calls open with it. open must not keep the key. If a typed passphrase is
// wrong, Unlock asks again. It does not try a key from a file or a pipe again.
func (k *Flags) Unlock(ctx context.Context, t *talk.Talk, name string, open func(key []byte) error) error {
	for n := 1; ; n++ {
		key, err := k.Read(ctx, t, name, false)
		if err != nil {
			return err
		}
		err = k.Explain(open(key), key)
		clear(key)
		if k.Given() || n == tries || !wrongKey(err) {
			return err
		}
		fmt.Fprintln(t.Err, "No key available with this passphrase.")
	}
}

// An emptyError is an empty key that opens no key slot.
type emptyError struct{ err error }

func (e *emptyError) Error() string { return "the key is empty" }
func (e *emptyError) Unwrap() error { return e.err }

// Explain adds a hint on how the key was given to the error for a wrong key. It does not change other errors, nor the
// error of an image with key slots that were left out for memory or a limit: the key may be that of such a slot.
func (k *Flags) Explain(err error, key []byte) error {
	if !errors.Is(err, luks.ErrPassphrase) || errors.Is(err, luks.ErrMemory) || errors.Is(err, luks.ErrLimit) {
		return err
	}
	file, text, encoding := "--"+k.prefix+"key-file", "--"+k.prefix+"passphrase-file", "--"+k.prefix+"passphrase-encoding"
	var hint string
	switch {
	case len(key) == 0:
		err, hint = &emptyError{err}, "give the file, the pipe or the descriptor that has the key"
	case !k.Given():
		hint = "check the keyboard layout and Caps Lock; a recovery key has 8 groups of 8 letters; to use a key file, name it with " + file
	case k.passphraseFile != "":
		hint = "the passphrase is the text in the file, without one final newline; " + file + " uses every byte of it, and with " + encoding + " their hex or base64 text"
	case k.encoding != Raw:
		hint = fmt.Sprintf("the passphrase is the %s text of the bytes in the key; without %s it is the bytes themselves", k.encoding, encoding)
	default:
		hint = "with " + file + " every byte counts, including a final newline; " + text + " removes one final newline; if the passphrase is the hex or base64 text of the bytes, use " + encoding
	}
	return rest.WithHint(err, hint)
}

// wrongKey reports whether a key was tried and does not open the image.
func wrongKey(err error) bool {
	return errors.Is(err, luks.ErrPassphrase) || errors.Is(err, vhd.ErrKey)
}
