// Package luks reads and writes disk images encrypted with LUKS, versions 1 and
// 2, without cryptsetup, device-mapper or root.
//
// To encrypt, use [NewWriter] for a stream, or [New] for a header and a
// [Volume] that encrypts at any offset. To decrypt, use [Open] and
// [Header.Unlock]: the Volume it returns is an [io.ReaderAt] of the plaintext.
//
// To change key slots, use [Edit].
//
// Deriving a key may take minutes and gigabytes. What derives one takes a context, and
// returns its cause within a tenth of a second when it is done. Argon2 alone can not be
// stopped: it goes on behind the scenes until it has its key, and wipes it.
//
// What it writes is accepted by cryptsetup, the Linux kernel and (LUKS1) QEMU: AES in
// XTS mode (aes-xts-plain64) unless [Options] say otherwise. What it reads is what
// they write, with AES in every mode that dm-crypt has. For Serpent, Twofish, Camellia, CAST5,
// Adiantum and some hashes, import package
// [github.com/luksimg/luksimg/luks/ciphers] for its side effect. The ciphers keep data
// secret but do not notice when somebody changes it.
//
// The package never prints, opens no file and starts no process.
//
// The formats are specified in "LUKS1 On-Disk Format Specification" 1.2.3 and
// "LUKS2 On-Disk Format Specification" 1.1, both by the cryptsetup project.
package luks

import (
	"errors"
	"fmt"

	"github.com/luksimg/luksimg/internal/dmcrypt"
	"github.com/luksimg/luksimg/internal/memory"
)

// Errors that a caller can act on. Match with [errors.Is]; the error at hand says
// more.
var (
	// ErrNotLUKS means that the data have no LUKS header, neither a primary nor a secondary.
	ErrNotLUKS = errors.New("not a LUKS image")

	// ErrFormat is what every [FormatError] is: the header breaks the rules of
	// LUKS, so what it says can not be trusted.
	ErrFormat = errors.New("malformed LUKS header")

	// ErrUnsupported means that a valid header with something that this package does not do.
	ErrUnsupported = errors.New("unsupported LUKS feature")

	// ErrNullCipher means that the image, or a key slot, is not encrypted at all; see
	// [OpenOptions].
	ErrNullCipher = errors.New("not encrypted")

	// ErrPassphrase means that no key slot opens with the passphrase given, and one at least was
	// tried.
	ErrPassphrase = errors.New("no key slot opens with this passphrase")

	// ErrNotTried means that no key slot could be tried, so that nothing is known of the
	// passphrase. The error says why, and matches that too: [ErrLimit], [ErrMemory],
	// [ErrUnsupported] and others.
	ErrNotTried = errors.New("no key slot could be tried")

	// ErrNoSlot means that there is no key slot of this number, or none is free.
	ErrNoSlot = errors.New("no such key slot")

	// ErrLastSlot means that the last key slot is only removed by force: without it, and
	// without the volume key, there is no way to the data.
	ErrLastSlot = errors.New("this is the last key slot")

	// ErrBackup means that the backup of a header does not belong to the image.
	ErrBackup = errors.New("the backup does not belong to this image")

	// ErrDataOffset means that by the backup of a header the data start elsewhere than by the header
	// that is there, so it is never restored. It is an [ErrBackup] too.
	ErrDataOffset = fmt.Errorf("%w: another data offset", ErrBackup)

	// ErrTruncated means that the image ends within a sector of its data, so it was cut off.
	ErrTruncated = errors.New("the image was cut off")

	// ErrChanged means that another program has changed the header since it was read.
	ErrChanged = errors.New("the header was changed by another program")

	// ErrVolumeKey means that the volume key given is not the one that the header's digest
	// was made of.
	ErrVolumeKey = errors.New("the volume key does not belong to this image")

	// ErrMemory means that there is not enough memory to derive a key. Allocating it would end the
	// process, so the limits of the process (RLIMIT_AS, RLIMIT_DATA), its control groups and
	// the free memory of the machine are looked at before, on Linux.
	ErrMemory = memory.ErrShort

	// ErrNotApproved means that FIPS 140-3 does not approve a cipher, a hash or a key derivation
	// function: see [KDF] and docs/fips.md. In Go's mode fips140=on nothing is made with it, in
	// fips140=only nothing is opened by it either.
	ErrNotApproved = dmcrypt.ErrNotApproved

	// ErrLimit means that deriving the key would take more than [OpenOptions] allow.
	ErrLimit = errors.New("key derivation beyond the limit")
)

// A FormatError says which field of a header is wrong, and how. It matches
// [ErrFormat].
type FormatError struct {
	Offset int64  // where in the image the field is, in bytes; for a JSON member, where its JSON area is
	Field  string // the name in the specification; for a JSON member its path, "keyslots.0.kdf.time"
	Value  any    // what it holds
	Want   string // what it should hold, as the end of a sentence: "at most 16"
}

func (e *FormatError) Error() string {
	return fmt.Sprintf("luks: %s at offset %d is %v, want %s", e.Field, e.Offset, e.Value, e.Want)
}

// Is reports whether target is [ErrFormat].
func (e *FormatError) Is(target error) bool { return target == ErrFormat }

// A slotError says in its own words what is wrong with a key slot that was asked for.
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
