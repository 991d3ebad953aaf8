// Package compressed reads disks that were compressed as a whole: gzip, bzip2, xz and zstd, as
// people publish them.
//
// [Open] opens a file: what the container tells of its parts and of its length is read, so that it can
// be read at random where the container has an index. [NewReader] reads a stream in order. Both check
// what the container has for that: checksums, lengths, and that nothing is missing at the end.
//
// What a file may cost is bounded; see [Options]. The package never opens a file by name.
package compressed

import (
	"errors"
	"fmt"
	"io"

	"github.com/luksimg/luksimg/internal/signature"
)

// A Kind is a container of compressed data.
type Kind string

// The kinds that are read.
const (
	Gzip  Kind = "gzip"
	Bzip2 Kind = "bzip2"
	XZ    Kind = "xz"
	Zstd  Kind = "zstd"
)

// kinds are the signatures of the kinds, by the names that package signature gives them.
var kinds = map[string]Kind{
	"a gzip-compressed file":         Gzip,
	"a bzip2-compressed file":        Bzip2,
	"an xz-compressed file":          XZ,
	"a zstd-compressed file":         Zstd,
	"a zstd- or LZ4-compressed file": Zstd,
}

// Detect tells the kind of the file in r, of size bytes, by its first bytes; "" is none of them. It reads
// some KiB at most. The error is that of r.
func Detect(r io.ReaderAt, size int64) (Kind, error) {
	s, _, err := signature.Find(r, size)
	if s == nil || err != nil {
		return "", err
	}
	k := kinds[s.Name]
	if k == Zstd && !startsZstd(r, size) {
		return "", nil
	}
	return k, nil
}

// Errors that a caller can act on. Match with [errors.Is].
var (
	// ErrCorrupt means that the file breaks the rules of its container, fails a checksum, or ends too
	// early.
	ErrCorrupt = errors.New("the compressed data are corrupt")

	// ErrTooLarge means that a file would become larger than is allowed.
	ErrTooLarge = errors.New("too large when it is unpacked")

	// ErrWindow means that unpacking a file takes more memory than is allowed.
	ErrWindow = errors.New("unpacking takes too much memory")

	// ErrUnsupported means that the container uses a feature that is not read here.
	ErrUnsupported = errors.New("unsupported feature of a compressed file")
)

// Options bound what a file may cost. The zero value is right for a file of unknown origin.
type Options struct {
	// MaxSize is how many bytes a file may become. If it is zero that depends on the length of the
	// file: see [Options.Limit].
	MaxSize int64

	// MaxWindow is how much memory in bytes the container may ask for, zero for 128 MiB.
	MaxWindow int64

	// Packed is the length in bytes of the file as it was published, if this one was inside it; zero
	// is this one.
	Packed int64

	// Jobs is how many parts are decoded at a time, zero for one for each CPU.
	Jobs int
}

const (
	// freeSize is how much every file may become, and maxRatio what it may become besides, by its own
	// length. Deflate makes 1032 of one at most: a disk of zeros in gzip is never refused. What has a
	// higher ratio is a disk with next to nothing on it, or made to do harm.
	freeSize = 256 << 20
	maxRatio = 1100

	defaultWindow = 128 << 20
)

// Limit returns how many bytes a file of so many may become: 256 MiB, and 1100 times its own length,
// unless MaxSize says otherwise.
func (o Options) Limit(size int64) int64 {
	if o.MaxSize > 0 {
		return o.MaxSize
	}
	if o.Packed > 0 {
		size = o.Packed
	}
	if size < 0 || size > (1<<62)/maxRatio {
		return 1 << 62
	}
	return freeSize + maxRatio*size
}

func (o Options) window() int64 {
	if o.MaxWindow > 0 {
		return o.MaxWindow
	}
	return defaultWindow
}

// check refuses a length that the container tells.
func (o Options) check(k Kind, packed, size int64) error {
	if most := o.Limit(packed); size > most {
		return &SizeError{k, size, most}
	}
	return nil
}

// A SizeError says that a file would become larger than is allowed. It matches [ErrTooLarge].
type SizeError struct {
	Kind Kind
	Size int64 // what the container tells, or as much as was unpacked, in bytes
	Most int64 // what is allowed
}

func (e *SizeError) Error() string {
	return fmt.Sprintf("%s: %v: %d bytes or more, and %d are allowed for a file of this length", e.Kind, ErrTooLarge, e.Size, e.Most)
}

// Is reports whether target is [ErrTooLarge].
func (e *SizeError) Is(target error) bool { return target == ErrTooLarge }

// corrupt is an error of a container.
func corrupt(k Kind, off int64, format string, args ...any) error {
	return fmt.Errorf("%s: %w: at offset %d: %s", k, ErrCorrupt, off, fmt.Sprintf(format, args...))
}

// early is an error of reading where more has to follow.
func early(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}
