package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/luksimg/luksimg/luks"
)

// luksFlags are those that say what the container is like.
type luksFlags struct {
	format     string
	cipher     string
	keySize    int
	hash       string
	sectorSize int
	kdf        kdfFlags
	uuid       string
	label      string
}

func (o *luksFlags) add(c *cobra.Command) {
	f := c.Flags()
	f.StringVar(&o.format, "format", "", "container: luks1 or luks2 (default luks2, or what the profile says)")
	f.StringVar(&o.cipher, "cipher", luks.DefaultCipher, "cipher of the data, as dm-crypt names it")
	f.IntVar(&o.keySize, "key-size", 0, "size of the key of the data in bits: 512 for AES-256 in XTS mode, 256 for AES-128 (default: the longest)")
	f.StringVar(&o.hash, "hash", "sha256", "hash of PBKDF2, the digest and the anti-forensic splitter: sha1, sha256, sha512")
	f.IntVar(&o.sectorSize, "sector-size", 512, "unit of encryption in bytes; more than 512, LUKS2 only, changes what a partition table means")
	o.kdf.add(c)
	f.StringVar(&o.uuid, "uuid", "", "UUID of the image (default: a random one)")
	f.StringVar(&o.label, "label", "", "label of the image (LUKS2)")
}

// options returns what the flags say, but for the generated key and the cost.
func (o *luksFlags) options() (luks.Options, error) {
	lo := luks.Options{
		Cipher:     o.cipher,
		KeySize:    o.keySize / 8,
		SectorSize: o.sectorSize,
		Hash:       o.hash,
		UUID:       o.uuid,
		Label:      o.label,
		KDF:        o.kdf.kdf(),
	}
	switch o.format {
	case "":
	case "luks1":
		lo.Version = 1
	case "luks2":
		lo.Version = 2
	default:
		return lo, fmt.Errorf("--format %s: want luks1 or luks2", o.format)
	}
	if o.keySize%8 != 0 || o.keySize < 0 {
		return lo, fmt.Errorf("--key-size %d: want a multiple of 8 bits", o.keySize)
	}
	return lo, nil
}
