package luks

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"

	"github.com/google/uuid"

	"github.com/luksimg/luksimg/internal/dmcrypt"
)

// Options configure the header that [New] and [NewWriter] make. The zero value is a safe default:
// LUKS2, AES-256 in XTS mode, 512-byte sectors, Argon2id.
type Options struct {
	// Version is the LUKS version, 1 or 2; zero means 2. QEMU opens only version 1.
	Version int

	// Cipher is the cipher of the data as dm-crypt names it; "" means [DefaultCipher]. Some ciphers
	// need package luks/ciphers.
	Cipher string

	// KeySize is the length of the volume key in bytes. Zero means the longest key of the cipher. For
	// aes-xts-plain64 that is 64, which is AES-256; 32 is AES-128.
	KeySize int

	// SectorSize is the encryption sector size in bytes: 512, 1024, 2048 or 4096; zero means 512. LUKS1
	// allows only 512. The opened device has sectors of this size, and a partition table counts in
	// sectors. So an image of a partitioned disk must keep the sector size of its table.
	SectorSize int

	// Hash is the hash of the anti-forensic splitter, of the digest of the volume key and, by default,
	// of PBKDF2: "sha1", "sha256", "sha512" and others of crypto/sha*. "" means "sha256".
	Hash string

	// KDF derives the key of the key slot from the passphrase. The zero value is the default of the
	// version; see [KDF].
	KDF KDF

	// GeneratedKey means that the passphrase is a generated key with full entropy, such as the text of
	// 32 random bytes. Stretching adds nothing to it, so the default KDF is then PBKDF2 with the
	// minimum of 1000 iterations.
	GeneratedKey bool

	// UUID is the UUID of the image; "" means a random one.
	UUID string

	// Label and Subsystem are free text for LUKS2, at most 47 bytes each.
	Label, Subsystem string

	// KeySlot is the number of the key slot, from 0 to 7 in LUKS1 and from 0 to 31 in LUKS2.
	KeySlot int

	// DataOffset is the offset of the encrypted data from the start of the header, in bytes. It must be
	// a multiple of 4096 for LUKS2 and of 512 for LUKS1, and leave room for the key slots. Zero means
	// cryptsetup's default: 16 MiB for LUKS2, 2 MiB for LUKS1 with the longer keys.
	DataOffset int64

	// Detached makes a header for a separate file. The data start at byte 0 of their file, and
	// DataOffset must be zero.
	Detached bool

	// MetadataSize is the length of each of the two copies of a LUKS2 header in bytes, a power of two
	// from 16384 to 4194304. Zero means 16384.
	MetadataSize int64

	// KeyslotsSize is the length of the LUKS2 key slot area in bytes, a multiple of 4096, at most 128
	// MiB. Zero means the whole space before the data; for a detached header, up to 16 MiB.
	KeyslotsSize int64

	// Flags are the persistent flags of LUKS2, used when the image is opened: "allow-discards",
	// "same-cpu-crypt" and the others of cryptsetup --persistent.
	Flags []string

	// Tokens are LUKS2 tokens: JSON objects with the members type and keyslots, which can only name
	// KeySlot; see [Token]. They are numbered from 0. If a token must contain the UUID of the image,
	// set UUID too.
	Tokens []json.RawMessage

	// VolumeKey, if not nil, is the key of the data; its length overrides KeySize. The default is a
	// random key.
	VolumeKey []byte

	// Rand is the source of keys, salts and the UUID; nil is [crypto/rand.Reader].
	// Set it in tests only.
	Rand io.Reader
}

// An optionError is about what the caller asked for, such as a value in [Options]. It is not about an image.
type optionError struct {
	error
	hint string
}

func (e *optionError) Unwrap() error { return e.error }

func badOption(err error, hint string) error {
	if !errors.Is(err, ErrUnsupported) {
		return err
	}
	return &optionError{err, hint}
}

// hinted adds advice to an error.
func hinted(err error, hint string) error { return &optionError{err, hint} }

// Hint says what to do about the error.
func (e *optionError) Hint() string { return e.hint }

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
	if o.Cipher == "" {
		o.Cipher = DefaultCipher
	}
	sizes, err := dmcrypt.KeySizes(o.Cipher)
	if err != nil {
		return o, badOption(cipherError(err), "choose another cipher: "+DefaultCipher+" is the default")
	}
	if o.KeySize == 0 {
		o.KeySize = sizes[len(sizes)-1]
	}
	if !slices.Contains(sizes, o.KeySize) {
		return o, fmt.Errorf("luks: key of %d bytes: %s has keys of %v bytes", o.KeySize, o.Cipher, sizes)
	}
	if name, mode, _ := strings.Cut(o.Cipher, "-"); o.Version == 1 && (len(name) > 31 || len(mode) > 31 || strings.HasPrefix(name, "capi:")) {
		return o, fmt.Errorf("luks: LUKS1 has no room for the cipher %s", o.Cipher)
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
		return o, badOption(err, "choose another hash: sha256 is the default")
	}
	if o.Hash != strings.ToLower(o.Hash) {
		return o, fmt.Errorf("luks: hash %q: names of hashes are lower case", o.Hash)
	}
	if most := map[int]int{1: v1Slots, 2: maxObjects}[o.Version] - 1; o.KeySlot < 0 || o.KeySlot > most {
		return o, fmt.Errorf("luks: key slot %d: want one from 0 to %d", o.KeySlot, most)
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
		o.UUID = u.String() // the form with 36 characters
	}
	if o.Version == 1 && (o.Label != "" || o.Subsystem != "") {
		return o, fmt.Errorf("luks: LUKS1 has no label and no subsystem")
	}
	if o.Version == 1 && len(o.Tokens) > 0 {
		return o, unsupported("LUKS1 has no tokens")
	}
	if o.Version == 1 && (o.MetadataSize != 0 || o.KeyslotsSize != 0 || len(o.Flags) > 0) {
		return o, fmt.Errorf("luks: LUKS1 has a fixed layout and no flags")
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
	if err := o.approved(); err != nil {
		return o, err
	}
	kdf, err := o.KDF.resolve(o)
	o.KDF = kdf
	return o, err
}

// resolveOffset computes the layout of the header.
func (o *Options) resolveOffset() error {
	if o.Detached && o.DataOffset != 0 {
		return fmt.Errorf("luks: a detached header has its data at byte 0 of another file, not at %d", o.DataOffset)
	}
	if o.Version == 1 {
		least := v1MaterialEnd(o.KeySize)
		switch {
		case o.Detached:
		case o.DataOffset == 0:
			o.DataOffset = roundUp(least, 1<<20)
		case o.DataOffset < least || o.DataOffset%sectorSize != 0 || o.DataOffset/sectorSize > math.MaxUint32:
			return fmt.Errorf("luks: data offset %d: want a multiple of %d, at least %d", o.DataOffset, sectorSize, least)
		}
		return nil
	}
	if o.MetadataSize == 0 {
		o.MetadataSize = v2HdrSize
	}
	if !slices.Contains(v2HeaderSizes, o.MetadataSize) {
		return fmt.Errorf("luks: metadata of %d bytes: want a power of two from 16384 to 4194304", o.MetadataSize)
	}
	first := 2 * o.MetadataSize // offset of the key slots
	slot := roundUp(int64(o.KeySize)*stripes, 4096)
	if o.KeyslotsSize == 0 && o.DataOffset == 0 {
		o.KeyslotsSize = max(v2DataOffset-first, roundUp(slot, 1<<20))
	}
	if o.KeyslotsSize == 0 {
		o.KeyslotsSize = o.DataOffset - first
	}
	if o.DataOffset == 0 && !o.Detached {
		o.DataOffset = roundUp(first+o.KeyslotsSize, 1<<20)
	}
	switch {
	case o.KeyslotsSize < slot || o.KeyslotsSize%4096 != 0 || o.KeyslotsSize > v2MaxKeyslotsSize:
		return fmt.Errorf("luks: %d bytes for key slots: want a multiple of 4096, from %d to %d", o.KeyslotsSize, slot, v2MaxKeyslotsSize)
	case !o.Detached && (o.DataOffset < first+o.KeyslotsSize || o.DataOffset%4096 != 0):
		return fmt.Errorf("luks: data offset %d: want a multiple of 4096, at least %d", o.DataOffset, first+o.KeyslotsSize)
	}
	return nil
}

func validSectorSize(n int) bool {
	return n == 512 || n == 1024 || n == 2048 || n == 4096
}

// roundUp returns the least multiple of unit that is at least n.
func roundUp(n, unit int64) int64 { return (n + unit - 1) / unit * unit }
