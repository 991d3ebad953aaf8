package keys

import (
	"context"
	"errors"
	"fmt"

	"github.com/luksimg/luksimg/cmd/luksimg/internal/talk"
	"github.com/luksimg/luksimg/luks"
	"github.com/luksimg/luksimg/vhd"
)

// tries is how often a passphrase may be typed, as with cryptsetup.
const tries = 3

// Unlock reads the key of what is there already and calls open with it, which must not keep
// it. Who types a passphrase that does not open it is asked again; a key from a file or a pipe
// would be the same one.
func (k *Flags) Unlock(ctx context.Context, t *talk.Talk, name string, open func(key []byte) error) error {
	for n := 1; ; n++ {
		key, err := k.Read(ctx, t, name, false)
		if err != nil {
			return err
		}
		err = open(key)
		clear(key)
		if k.Given() || n == tries || !wrongKey(err) {
			return err
		}
		fmt.Fprintln(t.Err, "No key available with this passphrase.")
	}
}

// wrongKey tells whether a key was tried and does not open the image.
func wrongKey(err error) bool {
	return errors.Is(err, luks.ErrPassphrase) || errors.Is(err, vhd.ErrKey)
}
