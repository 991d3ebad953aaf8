// Package luks reads and writes disk images encrypted with LUKS, versions 1 and 2, without cryptsetup,
// device-mapper or root.
//
// To encrypt, use [NewWriter] for a stream, or [New] for a header and a [Volume] that encrypts at any
// offset. To decrypt, use [Open] and [Header.Unlock]. They return a Volume, an [io.ReaderAt] of the
// plaintext. To change key slots, use [Edit].
//
// Deriving a key can take minutes and gigabytes. Functions that derive a key accept a context. When it
// is done, they return its cause within a tenth of a second. Argon2 itself cannot be stopped: it
// finishes in the background, and its key is wiped.
//
// cryptsetup, the Linux kernel and (for LUKS1) QEMU accept the images. The cipher is AES in XTS mode
// (aes-xts-plain64) unless [Options] select another. The package also reads the images that those
// programs write, with AES in every mode of dm-crypt. For Serpent, Twofish, Camellia, CAST5, Adiantum
// and some hashes, import package [github.com/luksimg/luksimg/luks/ciphers] for its side effect. The
// ciphers keep data secret but do not detect changes.
//
// The package does not print, open files or start processes.
//
// The formats are specified in "LUKS1 On-Disk Format Specification" 1.2.3 and "LUKS2 On-Disk Format
// Specification" 1.1, both by the cryptsetup project.
package luks

import (
	"errors"
	"fmt"

	"github.com/luksimg/luksimg/internal/dmcrypt"
	"github.com/luksimg/luksimg/internal/memory"
)

// Errors that a caller can act on. Match them with [errors.Is]; the returned error has the details.
var (
	// ErrNotLUKS means that the file has neither a primary nor a secondary LUKS header.
	ErrNotLUKS = errors.New("not a LUKS image")

	// ErrFormat matches every [FormatError]: the header violates the LUKS specification, so its content
	// cannot be trusted.
	ErrFormat = errors.New("malformed LUKS header")

	// ErrUnsupported means that a valid header uses a feature that this package does not support.
	ErrUnsupported = errors.New("unsupported LUKS feature")

	// ErrNullCipher means that the image or a key slot is not encrypted; see
	// [OpenOptions.AllowNullCipher].
	ErrNullCipher = errors.New("not encrypted")

	// ErrPassphrase means that no key slot opens with the passphrase, and at least one was tried.
	ErrPassphrase = errors.New("no key slot opens with this passphrase")

	// ErrNotTried means that no key slot could be tried, so the passphrase can be right or wrong. The
	// error also matches the reasons: [ErrLimit], [ErrMemory], [ErrUnsupported] and others.
	ErrNotTried = errors.New("no key slot could be tried")

	// ErrNoSlot means that the key slot does not exist, or that none is free.
	ErrNoSlot = errors.New("no such key slot")

	// ErrLastSlot means that removing the last key slot needs force. Without a key slot, only the
	// volume key opens the image.
	ErrLastSlot = errors.New("this is the last key slot")

	// ErrBackup means that the backup of a header does not belong to the image.
	ErrBackup = errors.New("the backup does not belong to this image")

	// ErrDataOffset means that the backup of a header has another data offset than the image's header.
	// Such a backup is never restored. The error also matches [ErrBackup].
	ErrDataOffset = fmt.Errorf("%w: another data offset", ErrBackup)

	// ErrTruncated means that the image ends within a sector of its data.
	ErrTruncated = errors.New("the image was cut off")

	// ErrChanged means that another program has changed the header since it was read.
	ErrChanged = errors.New("the header was changed by another program")

	// ErrVolumeKey means that the given volume key does not match the digest in the header.
	ErrVolumeKey = errors.New("the volume key does not belong to this image")

	// ErrMemory means that there is not enough memory to derive a key, which would end the process. On
	// Linux, the limits of the process (RLIMIT_AS, RLIMIT_DATA), its control groups and the free memory
	// of the machine are checked first.
	ErrMemory = memory.ErrShort

	// ErrNotApproved means that FIPS 140-3 does not approve a cipher, a hash or a key derivation
	// function; see [KDF] and docs/fips.md. With GODEBUG=fips140=on, such algorithms are not used for
	// new images. With fips140=only, images that use them are not opened either.
	ErrNotApproved = dmcrypt.ErrNotApproved

	// ErrLimit means that deriving the key would exceed the limits of [OpenOptions].
	ErrLimit = errors.New("key derivation exceeds the limit")
)

// A FormatError reports an invalid field of a header. It matches [ErrFormat].
type FormatError struct {
	Offset int64  // of the field in the image, in bytes; for a JSON member, of its JSON area
	Field  string // the name in the specification; for a JSON member its path, "keyslots.0.kdf.time"
	Value  any    // the value of the field
	Want   string // the expected value, as the end of a sentence: "at most 16"
}

func (e *FormatError) Error() string {
	return fmt.Sprintf("luks: %s at offset %d is %v, want %s", e.Field, e.Offset, e.Value, e.Want)
}

// Is reports whether target is [ErrFormat].
func (e *FormatError) Is(target error) bool { return target == ErrFormat }

// A slotError describes a problem with a given key slot in its own words.
type slotError struct {
	text string
	kind error
}

func (e *slotError) Error() string { return "luks: " + e.text }

func (e *slotError) Unwrap() error { return e.kind }

func noSlot(format string, args ...any) error {
	return &slotError{fmt.Sprintf(format, args...), ErrNoSlot}
}

func unsupported(format string, args ...any) error {
	return fmt.Errorf("luks: %w: %s", ErrUnsupported, fmt.Sprintf(format, args...))
}
