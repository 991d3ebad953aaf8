package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/luksimg/luksimg"
	"github.com/luksimg/luksimg/luks"
)

// luksFlags select the format of a new image.
type luksFlags struct {
	format     string
	cipher     string
	keySize    int
	hash       string
	sectorSize int
	kdf        kdfFlags
	uuid       string
	label      string
	subsystem  string
	keySlot    int

	metadataSize, keyslotsSize int64
}

func (o *luksFlags) add(c *cobra.Command) {
	f := c.Flags()
	f.StringVar(&o.format, "format", "", "container: luks1, luks2, an encrypted vhd, or qcow2 with LUKS1 inside (default luks2, or what the profile says)")
	f.StringVar(&o.cipher, "cipher", "", "cipher of the data, as dm-crypt names it (default "+luks.DefaultCipher+")")
	f.IntVar(&o.keySize, "key-size", 0, "size of the volume key in bits: 512 for AES-256 in XTS mode, 256 for AES-128 (default: the longest)")
	f.StringVar(&o.hash, "hash", "", "hash of PBKDF2, the digest and the anti-forensic splitter: sha1, sha256, sha512 (default sha256)")
	f.IntVar(&o.sectorSize, "sector-size", 512, "sector size of the encryption in bytes; more than 512 (LUKS2 only) changes the meaning of a partition table")
	f.Int64Var(&o.metadataSize, "luks2-metadata-size", 0, "bytes of each copy of a LUKS2 header, from 16384 to 4194304 (default 16384)")
	f.Int64Var(&o.keyslotsSize, "luks2-keyslots-size", 0, "bytes of the LUKS2 key slot area (default: up to the data at 16 MiB)")
	o.kdf.add(c)
	f.StringVar(&o.uuid, "uuid", "", "UUID of the image (default: a random one)")
	f.StringVar(&o.label, "label", "", "label of the image (LUKS2)")
	f.StringVar(&o.subsystem, "subsystem", "", "subsystem label of the image (LUKS2)")
}

// options returns the options that the flags select. The caller adds the generated key and the measured cost.
func (o *luksFlags) options() (luks.Options, error) {
	lo := luks.Options{
		Cipher:     o.cipher,
		KeySize:    o.keySize / 8,
		SectorSize: o.sectorSize,
		Hash:       o.hash,
		UUID:       o.uuid,
		Label:      o.label,
		Subsystem:  o.subsystem,
		KeySlot:    o.keySlot,

		MetadataSize: o.metadataSize,
		KeyslotsSize: o.keyslotsSize,
		KDF:          o.kdf.kdf(),
	}
	switch o.container() {
	case "", luksimg.LUKS1, luksimg.LUKS2, luksimg.VHD, luksimg.QCOW2:
	default:
		return lo, fmt.Errorf("--format %s: want luks1, luks2, vhd or qcow2", o.format)
	}
	if o.keySize%8 != 0 || o.keySize < 0 {
		return lo, fmt.Errorf("--key-size %d: want a multiple of 8 bits", o.keySize)
	}
	return lo, nil
}

// container returns the value of --format, "" without the flag.
func (o *luksFlags) container() luksimg.Format { return luksimg.Format(o.format) }

// profileNames returns the names of all profiles, for a help text.
func profileNames() string {
	var names []string
	for _, p := range luksimg.Profiles() {
		names = append(names, string(p))
	}
	return strings.Join(names, ", ")
}
