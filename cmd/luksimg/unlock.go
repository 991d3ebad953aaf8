package main

import (
	"github.com/spf13/cobra"

	"github.com/luksimg/luksimg/internal/parallel"
	"github.com/luksimg/luksimg/luks"
)

// unlockFlags are the ways to open an encrypted image.
type unlockFlags struct {
	key           keyFlags
	volumeKeyFile string
}

func (o *unlockFlags) add(c *cobra.Command) {
	o.key.add(c, "")
	c.Flags().StringVar(&o.volumeKeyFile, "volume-key-file", "", "`FILE` with the key of the data itself, as it is; no passphrase is needed")
}

// open unlocks an image with the key that the flags give.
func (o *unlockFlags) open(c *cobra.Command, t *talk, in *input, h *luks.Header) (*luks.Volume, error) {
	ctx := c.Context()
	if err := atMostOne(c, "volume-key-file", "key-file", "passphrase-file", "key-fd"); err != nil {
		return nil, err
	}
	unlock := h.Unlock
	var key []byte
	var err error
	if o.volumeKeyFile != "" {
		unlock = h.UnlockVolumeKey
		key, err = readKeyFile(ctx, o.volumeKeyFile)
	} else {
		key, err = o.key.read(ctx, t, in.name, false)
	}
	if err != nil {
		return nil, err
	}
	defer clear(key)
	var v *luks.Volume
	err = parallel.Await(ctx, func() (err error) {
		v, err = unlock(key)
		return err
	})
	return v, in.wrap(err)
}
