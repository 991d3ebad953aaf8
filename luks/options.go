package luks

import (
	"cmp"
	"crypto/rand"
	"fmt"
	"io"

	"github.com/google/uuid"
)

// Options say what header [New] and [NewWriter] make. The zero value is a safe
// default: LUKS2, AES-256 in XTS mode, 512-byte sectors, Argon2id.
type Options struct {
	// Version of LUKS, 1 or 2. Zero is 2. QEMU opens only version 1.
	Version int

	// KeySize is the length of the volume key in bytes: 64 for AES-256-XTS (the
	// default, also for zero), 32 for AES-128-XTS.
	KeySize int

	// SectorSize is the unit of encryption in bytes: 512 (the default, also for
	// zero), 1024, 2048 or 4096; LUKS1 knows only 512. The opened device has
	// sectors of this size, and a partition table counts in sectors: an image of
	// a partitioned disk must keep 512.
	SectorSize int

	// Hash is used in the anti-forensic splitter, in the digest of the volume
	// key and, by default, in PBKDF2: "sha1", "sha256" (the default, also for
	// ""), "sha512" and others that crypto/sha* have.
	Hash string

	// KDF derives the key of the key slot from the passphrase. The zero value
	// is the default of the version; see [KDF].
	KDF KDF

	// GeneratedKey says that the passphrase is a generated key of full entropy,
	// such as the text of 32 random bytes. Stretching it adds nothing, so the
	// default KDF becomes PBKDF2 at its minimum of 1000 iterations.
	GeneratedKey bool

	// UUID of the image. "" is a random one.
	UUID string

	// Label and Subsystem are free text for LUKS2, at most 47 bytes each.
	Label, Subsystem string

	// DataOffset is where the encrypted data start, in bytes from the start of
	// the header: a multiple of 4096 for LUKS2 and of 512 for LUKS1, with room for
	// the key slots. Zero is cryptsetup's default: 16 MiB for LUKS2, 2 MiB for
	// LUKS1.
	DataOffset int64

	// VolumeKey, if not nil, is used as the key of the data. It sets KeySize.
	// The default is a random key.
	VolumeKey []byte

	// Rand is the source of keys, salts and the UUID; nil is [crypto/rand.Reader].
	// Set it in tests only.
	Rand io.Reader
}

// Check reports what in o [New] would refuse.
func (o Options) Check() error {
	o.UUID = cmp.Or(o.UUID, uuid.Nil.String()) // instead of a random one
	_, err := o.resolve()
	return err
}

// resolve returns o with every default filled in and every field checked.
func (o Options) resolve() (Options, error) {
	if o.Version == 0 {
		o.Version = 2
	}
	if o.Version != 1 && o.Version != 2 {
		return o, fmt.Errorf("luks: no such version: %d", o.Version)
	}
	if o.VolumeKey != nil {
		if o.KeySize != 0 && o.KeySize != len(o.VolumeKey) {
			return o, fmt.Errorf("luks: volume key has %d bytes, KeySize is %d", len(o.VolumeKey), o.KeySize)
		}
		o.KeySize = len(o.VolumeKey)
	}
	if o.KeySize == 0 {
		o.KeySize = 64
	}
	if o.KeySize != 32 && o.KeySize != 64 {
		return o, fmt.Errorf("luks: key of %d bytes: aes-xts has keys of 32 or 64 bytes", o.KeySize)
	}
	if o.SectorSize == 0 {
		o.SectorSize = 512
	}
	if !validSectorSize(o.SectorSize) {
		return o, fmt.Errorf("luks: sector size %d: want 512, 1024, 2048 or 4096", o.SectorSize)
	}
	if o.Version == 1 && o.SectorSize != 512 {
		return o, fmt.Errorf("luks: LUKS1 has sectors of 512 bytes only, not %d", o.SectorSize)
	}
	if o.Hash == "" {
		o.Hash = "sha256"
	}
	if _, err := hashByName(o.Hash); err != nil {
		return o, err
	}
	if o.Rand == nil {
		o.Rand = rand.Reader
	}
	if o.UUID == "" {
		u, err := uuid.NewRandomFromReader(o.Rand)
		if err != nil {
			return o, fmt.Errorf("luks: reading random bytes: %w", err)
		}
		o.UUID = u.String()
	} else {
		u, err := uuid.Parse(o.UUID)
		if err != nil {
			return o, fmt.Errorf("luks: UUID %q: %v", o.UUID, err)
		}
		o.UUID = u.String() // the one form with 36 characters
	}
	if o.Version == 1 && (o.Label != "" || o.Subsystem != "") {
		return o, fmt.Errorf("luks: LUKS1 has no label and no subsystem")
	}
	for _, f := range []struct{ name, value string }{{"label", o.Label}, {"subsystem", o.Subsystem}} {
		if len(f.value) > labelSize-1 {
			return o, fmt.Errorf("luks: %s of %d bytes: at most %d fit", f.name, len(f.value), labelSize-1)
		}
		for _, c := range []byte(f.value) {
			if c == 0 {
				return o, fmt.Errorf("luks: %s holds a NUL byte", f.name)
			}
		}
	}
	if err := o.resolveOffset(); err != nil {
		return o, err
	}
	kdf, err := o.KDF.resolve(o)
	o.KDF = kdf
	return o, err
}

func (o *Options) resolveOffset() error {
	least, align := int64(v2KeyslotsOffset+roundUp(int64(o.KeySize)*stripes, 4096)), int64(4096)
	def := int64(v2DataOffset)
	if o.Version == 1 {
		least, align = v1MaterialEnd(o.KeySize), sectorSize
		def = roundUp(least, 1<<20)
	}
	switch {
	case o.DataOffset == 0:
		o.DataOffset = def
	case o.DataOffset < least || o.DataOffset%align != 0:
		return fmt.Errorf("luks: data offset %d: want a multiple of %d, at least %d", o.DataOffset, align, least)
	case o.Version == 1 && o.DataOffset/sectorSize > 1<<32-1:
		return fmt.Errorf("luks: data offset %d: too far for LUKS1", o.DataOffset)
	case o.Version == 2 && o.DataOffset-v2KeyslotsOffset > v2MaxKeyslotsSize:
		return fmt.Errorf("luks: data offset %d: more than 128 MiB of key slots before it", o.DataOffset)
	}
	return nil
}

func validSectorSize(n int) bool {
	return n == 512 || n == 1024 || n == 2048 || n == 4096
}

// roundUp returns the least multiple of unit that is at least n.
func roundUp(n, unit int64) int64 { return (n + unit - 1) / unit * unit }
