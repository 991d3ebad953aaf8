package main

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/luksimg/luksimg"
	"github.com/luksimg/luksimg/luks"
)

// luksFlags are those that say what the container is like.
type luksFlags struct {
	format          string
	cipher          string
	keySize         int
	hash            string
	sectorSize      int
	pbkdf           string
	memory          uint32
	parallel        uint32
	forceIterations uint32
	iterTime        int
	uuid            string
	label           string
}

func (o *luksFlags) add(c *cobra.Command) {
	f := c.Flags()
	f.StringVar(&o.format, "format", "", "container: luks1 or luks2 (default luks2, or what the profile says)")
	f.StringVar(&o.cipher, "cipher", "aes-xts-plain64", "cipher of the data")
	f.IntVar(&o.keySize, "key-size", 512, "size of the key of the data in bits: 512 for AES-256, 256 for AES-128")
	f.StringVar(&o.hash, "hash", "sha256", "hash of PBKDF2, the digest and the anti-forensic splitter: sha1, sha256, sha512")
	f.IntVar(&o.sectorSize, "sector-size", 512, "unit of encryption in bytes; more than 512, LUKS2 only, changes what a partition table means")
	f.StringVar(&o.pbkdf, "pbkdf", "", "key derivation: argon2id, argon2i or pbkdf2 (see above)")
	f.Uint32Var(&o.memory, "pbkdf-memory", 0, "memory of Argon2 in KiB")
	f.Uint32Var(&o.parallel, "pbkdf-parallel", 0, "lanes of Argon2")
	f.Uint32Var(&o.forceIterations, "pbkdf-force-iterations", 0, "iterations of PBKDF2, or passes of Argon2")
	f.IntVar(&o.iterTime, "iter-time", 0, "measure the cost so that deriving the key takes this many milliseconds on this machine")
	f.StringVar(&o.uuid, "uuid", "", "UUID of the image (default: a random one)")
	f.StringVar(&o.label, "label", "", "label of the image (LUKS2)")
}

// options returns what the flags say, but for the generated key and the cost.
func (o *luksFlags) options() (luks.Options, error) {
	lo := luks.Options{
		KeySize:    o.keySize / 8,
		SectorSize: o.sectorSize,
		Hash:       o.hash,
		UUID:       o.uuid,
		Label:      o.label,
		KDF: luks.KDF{
			Type:       o.pbkdf,
			Iterations: o.forceIterations,
			Memory:     o.memory,
			Parallel:   o.parallel,
		},
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
	switch {
	case o.cipher != "aes-xts-plain64":
		return lo, fmt.Errorf("--cipher %s: aes-xts-plain64 is the one that is written", o.cipher)
	case o.keySize != 256 && o.keySize != 512:
		return lo, fmt.Errorf("--key-size %d: want 512 or 256 bits", o.keySize)
	case o.iterTime < 0:
		return lo, fmt.Errorf("--iter-time %d: want a number of milliseconds", o.iterTime)
	}
	return lo, nil
}

// kdf measures the cost of key derivation if that was asked for.
func (o *luksFlags) kdf(e luksimg.EncryptOptions) (luks.KDF, error) {
	if o.iterTime == 0 {
		return e.LUKS.KDF, nil
	}
	return e.Calibrate(time.Duration(o.iterTime) * time.Millisecond)
}
